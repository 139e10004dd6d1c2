-- A call of `batch backfill` asks for several days: from `day` to `until`.
ALTER TABLE core.daily_calls ADD COLUMN until date;
CREATE OR REPLACE VIEW market.daily_calls AS
SELECT c.day, c.source, c.call, c.endpoint, c.symbols, c.state, c.reason, c.updated_at, c.what, c.interval, c.until
FROM core.daily_calls c;
COMMENT ON COLUMN market.daily_calls.until IS 'last day of a call that asks for several (batch backfill); else null';
