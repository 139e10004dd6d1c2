-- Minutes in which a market moved belong to events: a new one begins where the market did not move for five minutes.
ALTER TABLE core.market_moves ADD COLUMN event timestamptz;
WITH apart AS (
    SELECT source, exchange, start,
           (start - lag(start) OVER w <= interval '5 minutes') IS NOT TRUE AS first
    FROM core.market_moves WINDOW w AS (PARTITION BY source, exchange ORDER BY start)
), events AS (
    SELECT source, exchange, start, max(start) FILTER (WHERE first) OVER (
        PARTITION BY source, exchange ORDER BY start) AS event
    FROM apart
)
UPDATE core.market_moves m SET event = e.event FROM events e
WHERE (m.source, m.exchange, m.start) = (e.source, e.exchange, e.start);
ALTER TABLE core.market_moves ALTER COLUMN event SET NOT NULL;

CREATE OR REPLACE VIEW market.market_moves AS
SELECT m.start, m.source, m.exchange, m.direction, m.median, m.log_return, m.members, m.up, m.down, m.found_at,
       m.event AS event_start
FROM core.market_moves m;

COMMENT ON COLUMN market.market_moves.event_start IS
    'beginning of the first minute of the event that the minute belongs to: its alert (market_move) has this start';
