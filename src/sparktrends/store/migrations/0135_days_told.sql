-- When the trends of a day were made, and when its report was last written: what comes in for the day afterwards (a call
-- that a quota kept back, a story that was indexed late) makes both anew with the next run.
CREATE TABLE core.days_told (
    day date PRIMARY KEY,
    tagged_at timestamptz NOT NULL,
    reported_at timestamptz
);
COMMENT ON COLUMN market.daily_calls.reason IS
    'why it was not done, or that it was asked before the day was over; null when it was done';
COMMENT ON COLUMN market.daily_trends.rank IS
    'place among the movers of the day, 1 = moved most; series of one market share the place';
