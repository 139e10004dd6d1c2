-- A call of the daily run waits until it is made, today or when the quota lets it: what it asks must be known then.
ALTER TABLE core.daily_calls ADD COLUMN what text NOT NULL, ADD COLUMN interval text NOT NULL;
ALTER TABLE core.daily_calls DROP CONSTRAINT daily_calls_state_check;
ALTER TABLE core.daily_calls ADD CONSTRAINT daily_calls_state_check
    CHECK (state IN ('waiting', 'done', 'refused', 'failed'));
-- Quotes are no bars and no trades: they go to raw.trades as price updates.
ALTER TABLE core.readings ADD COLUMN prices integer NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW market.daily_calls AS
SELECT c.day, c.source, c.call, c.endpoint, c.symbols, c.state, c.reason, c.updated_at, c.what, c.interval
FROM core.daily_calls c;
CREATE OR REPLACE VIEW market.payloads AS
SELECT p.id, p.source, p.endpoint, p.fetched_at, coalesce(r.outcome, 'waiting') AS outcome, r.news, r.bars,
       r.companies, r.actions, r.rejects, r.unknown, r.missing, r.updated_at, r.prices
FROM raw.payloads p LEFT JOIN core.readings r ON r.payload = p.id;
COMMENT ON COLUMN market.daily_calls.what IS 'what was asked for: bars, news, company, quote or actions';
COMMENT ON COLUMN market.daily_calls.interval IS 'length of the bars that were asked for';
COMMENT ON COLUMN market.daily_calls.state IS
    'waiting (not made yet), done, refused (it will not be answered) or failed (asked again by the next run)';
COMMENT ON COLUMN market.payloads.prices IS 'price updates in it';
