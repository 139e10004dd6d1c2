-- What the API reads: views grow by the key of the series, and say what changed; keys of the API are kept as hashes.

CREATE TABLE core.api_keys (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'admin'] AND cardinality(scopes) > 0),
    sha256 bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
COMMENT ON TABLE core.api_keys IS 'Who may use the API: SHA-256 of each key, never the key.';

CREATE VIEW market.series AS
SELECT s.id AS series, s.source, s.symbol, s.source LIKE '%~sim' AS simulated, s.source LIKE '%~replay' AS replayed
FROM core.series s;

-- The newest price beside each series: one step down the primary key of the newest partition.
CREATE VIEW market.symbols AS
SELECT s.id AS series, s.source, s.symbol, s.source LIKE '%~sim' AS simulated, s.source LIKE '%~replay' AS replayed,
       core.at(t.first_minute) AS first_minute, core.at(t.last_minute) AS last_minute, core.at(t.clock) AS clock_at,
       b.start AS last_start, b.close AS last_close, b.state AS last_state, t.updated_at
FROM core.series s
LEFT JOIN core.series_state t ON t.series = s.id
LEFT JOIN LATERAL (
    SELECT c.start, c.close, c.state FROM core.bars c
    WHERE c.series = s.id AND c.interval = '1m' AND c.trades > 0 ORDER BY c.start DESC LIMIT 1) b ON true;

CREATE OR REPLACE VIEW market.bars_all AS
SELECT s.source, s.symbol, b.interval, b.start, b.open, b.high, b.low, b.close, b.volume, b.turnover, b.vwap,
       b.trades, b.state, b.after_final AS revision, b.reason, 'trades'::text AS origin, b.updated_at,
       'raw'::text AS adjustment, b.series
FROM core.bars b JOIN core.series s ON s.id = b.series
WHERE b.trades > 0 OR b.state <> 'forming'
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, p.open, p.high, p.low, p.close, p.volume, p.turnover,
       CASE WHEN p.volume > 0 THEN round(p.turnover / p.volume, 18) END,
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at, p.adjustment,
       p.series
FROM core.provider_bars p JOIN core.series s ON s.id = p.series;

CREATE OR REPLACE VIEW market.bars AS
SELECT s.source, s.symbol, b.interval, b.start,
       CASE WHEN p.series IS NULL THEN b.open ELSE p.open END AS open,
       CASE WHEN p.series IS NULL THEN b.high ELSE p.high END AS high,
       CASE WHEN p.series IS NULL THEN b.low ELSE p.low END AS low,
       CASE WHEN p.series IS NULL THEN b.close ELSE p.close END AS close,
       CASE WHEN p.series IS NULL THEN b.volume ELSE p.volume END AS volume,
       CASE WHEN p.series IS NULL THEN b.turnover ELSE p.turnover END AS turnover,
       CASE WHEN p.series IS NULL THEN b.vwap
            WHEN p.volume > 0 THEN round(p.turnover / p.volume, 18) END AS vwap,
       CASE WHEN p.series IS NULL THEN b.trades ELSE p.trades END AS trades,
       b.state, b.after_final AS revision, b.reason,
       CASE WHEN p.series IS NULL THEN 'trades' ELSE 'provider' END AS origin,
       greatest(b.updated_at, p.updated_at) AS updated_at, b.series
FROM core.bars b
JOIN core.series s ON s.id = b.series
LEFT JOIN core.provider_bars p
    ON p.series = b.series AND p.interval = b.interval AND p.start = b.start AND p.adjustment = 'raw' AND p.closed
   AND (b.reason IS NOT NULL AND b.reason <> 'no_trade')
WHERE b.trades > 0 OR b.state <> 'forming'
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, p.open, p.high, p.low, p.close, p.volume, p.turnover,
       CASE WHEN p.volume > 0 THEN round(p.turnover / p.volume, 18) END,
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at, p.series
FROM core.provider_bars p JOIN core.series s ON s.id = p.series
WHERE p.adjustment = 'raw' AND NOT EXISTS (
    SELECT FROM core.bars b WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start
       AND (b.trades > 0 OR b.state <> 'forming'));

CREATE OR REPLACE VIEW market.metrics AS
SELECT s.source, s.symbol, m.interval, m.start, m."return", m.log_return, m.volatility_20, m.volatility_ewma,
       m.sma_20, m.sma_50, m.sma_200, m.ema_12, m.ema_20, m.ema_26, m.ema_50, m.ema_200, m.rsi_14,
       m.macd, m.macd_signal, m.macd_hist, m.bb_upper, m.bb_middle, m.bb_lower, m.atr_14, m.adx_14,
       m.stoch_k, m.stoch_d, m.obv, m.mfi_14, m.roc_10, m.vwap_session, m.volume_sma_20, m.volume_ratio,
       m.volume_z, m.warm, m.revision, m.extra, m.final, m.updated_at, m.series
FROM core.metrics m JOIN core.series s ON s.id = m.series;

CREATE OR REPLACE VIEW market.signals AS
SELECT g.id, s.source, s.symbol, g.interval, g.start, g.kind, g.name, g.direction, g.score, g.severity, g.detail,
       g.detected_at, g.retracted_at, g.series
FROM core.signals g JOIN core.series s ON s.id = g.series;

-- What each commit changed, for as long as it is kept: the stream of the API resumes from here.
CREATE VIEW market.changes AS
SELECT c.shard, c.commit, c.at, c.series, c.intervals, c.starts, c.signals FROM core.changes c;

CREATE VIEW market.shards AS SELECT h.shard, h.commit, h.updated_at FROM core.shards h;

CREATE VIEW market.progress AS
SELECT l.topic, l.partition, l.shard, l.next_offset, l.records, l.trades, l.prices, l.heartbeats, l.bars, l.late,
       l.quarantined, l.appended_at, l.updated_at
FROM core.ledger l;

GRANT SELECT ON ALL TABLES IN SCHEMA market TO sparktrends_reader;

COMMENT ON VIEW market.series IS 'Every series: one symbol of one source.';
COMMENT ON VIEW market.symbols IS 'Every series with its first and newest minute and its newest price.';
COMMENT ON VIEW market.changes IS 'What each commit changed: bars by series, interval and start, and ids of signals.';
COMMENT ON VIEW market.shards IS 'How many commits each shard of the stream has made.';
COMMENT ON VIEW market.progress IS 'How far each partition of the log is stored, and what became of its records.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('series', 'series', 'key of the series: one symbol of one source'),
            ('symbols', 'series', 'key of the series: one symbol of one source'),
            ('bars', 'series', 'key of the series, as in market.series'),
            ('bars_all', 'series', 'key of the series, as in market.series'),
            ('metrics', 'series', 'key of the series, as in market.series'),
            ('signals', 'series', 'key of the series, as in market.series'),
            ('changes', 'series', 'key of the series of each changed bar'),
            ('', 'source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('', 'symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('', 'simulated', 'true when the prices are made up'),
            ('', 'replayed', 'true when the prices come from a recording'),
            ('', 'first_minute', 'oldest minute with a trade or a heartbeat'),
            ('', 'last_minute', 'newest minute with a trade or a heartbeat'),
            ('', 'clock_at', 'largest arrival among the series'' accepted records, price updates and heartbeats'),
            ('', 'last_start', 'beginning of the newest minute with a trade'),
            ('', 'last_close', 'price of the newest trade, in the quote currency'),
            ('', 'last_state', 'state of the minute at last_start: forming, final or revised'),
            ('', 'updated_at', 'when the row last changed'),
            ('', 'shard', 'share of the partitions, such as 1/1'),
            ('', 'commit', 'number of the commit within its shard, each one more than the last'),
            ('', 'at', 'when it was committed'),
            ('', 'intervals', 'interval of each changed bar'),
            ('', 'starts', 'beginning of each changed bar, microseconds since 1970 UTC'),
            ('', 'signals', 'ids of the signals that were made, changed or retracted'),
            ('', 'topic', 'Kafka topic'),
            ('', 'partition', 'Kafka partition'),
            ('', 'next_offset', 'offset of the first record that is not stored yet'),
            ('', 'records', 'records stored so far: the sum of the six columns that follow'),
            ('', 'trades', 'records that were trades'),
            ('', 'prices', 'records that were price updates'),
            ('', 'heartbeats', 'records that were heartbeats'),
            ('', 'bars', 'records that were providers'' bars'),
            ('', 'late', 'records in the late ledger'),
            ('', 'quarantined', 'records in quarantine'),
            ('', 'appended_at', 'when the broker appended the newest stored record')
        ) AS words(view, name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND (i.table_name = words.view
              OR words.view = '' AND i.table_name IN ('series', 'symbols', 'changes', 'shards', 'progress'))
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
