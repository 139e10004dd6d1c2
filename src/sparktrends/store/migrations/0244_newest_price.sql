-- The newest price of a series is also what a provider's bar tells: where only those come (a backfill, Alpha Vantage) there was
-- none. Of one minute it is ours, unless the provider's shows in its place, as in market.bars. Providers' bars are looked for
-- from our own newest minute on alone, so that a live series costs one step more down one index.
CREATE OR REPLACE VIEW market.symbols AS
SELECT s.id AS series, s.source, s.symbol, s.source LIKE '%~sim' AS simulated, s.source LIKE '%~replay' AS replayed,
       core.at(t.first_minute) AS first_minute, core.at(t.last_minute) AS last_minute, core.at(t.clock) AS clock_at,
       coalesce(p.start, b.start) AS last_start, coalesce(p.close, b.close) AS last_close,
       CASE WHEN p.start IS NULL OR p.start = b.start THEN b.state WHEN p.closed THEN 'final' ELSE 'forming' END
           AS last_state,
       t.updated_at
FROM core.series s
LEFT JOIN core.series_state t ON t.series = s.id
LEFT JOIN LATERAL (
    SELECT c.start, c.close, c.state, c.reason FROM core.bars c
    WHERE c.series = s.id AND c.interval = '1m' AND c.trades > 0 ORDER BY c.start DESC LIMIT 1) b ON true
LEFT JOIN LATERAL (
    SELECT n.* FROM (
        SELECT q.start, q.close, q.closed FROM core.provider_bars q
        WHERE q.series = s.id AND q.interval = '1m' AND q.adjustment = 'raw'
          AND q.start >= coalesce(b.start, '-infinity') ORDER BY q.start DESC LIMIT 1) n
    WHERE b.start IS NULL OR n.start > b.start OR (n.closed AND b.reason <> 'no_trade')) p ON true;

COMMENT ON COLUMN market.symbols.last_start IS
    'beginning of the newest minute with a price: one with a trade, or of which a provider''s bar tells';
COMMENT ON COLUMN market.symbols.last_close IS
    'price of the newest trade, or the close of the provider''s bar of last_start, in the quote currency';
