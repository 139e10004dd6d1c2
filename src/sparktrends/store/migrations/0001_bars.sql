-- Series, bars, the ledger and what surrounds them. Base tables live in `core` and may change; people read `market`.
CREATE SCHEMA core;
CREATE SCHEMA market;
CREATE SCHEMA raw;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE TABLE core.series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    symbol text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, symbol)
);

-- The only truth about progress: the next record each partition wants, and what became of those before it.
CREATE TABLE core.ledger (
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    shard text NOT NULL,
    records bigint NOT NULL DEFAULT 0,
    trades bigint NOT NULL DEFAULT 0,
    prices bigint NOT NULL DEFAULT 0,
    heartbeats bigint NOT NULL DEFAULT 0,
    bars bigint NOT NULL DEFAULT 0,
    late bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    appended_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition),
    CHECK (records = trades + prices + heartbeats + bars + late + quarantined)
);

-- Parts of the log that a person accepted as lost (`--accept-gap`): the audit leaves them out and says so.
CREATE TABLE core.log_gaps (
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_id, partition, from_offset)
);

CREATE TABLE core.shards (
    shard text PRIMARY KEY,
    commit bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- One row a series: its own clock, and its first and last known minute (microseconds UTC).
CREATE TABLE core.series_state (
    series integer PRIMARY KEY REFERENCES core.series,
    version bigint NOT NULL,
    clock bigint NOT NULL,
    first_minute bigint,
    last_minute bigint,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE core.bars (
    series integer NOT NULL,
    interval text NOT NULL,
    start timestamptz NOT NULL,
    open numeric CHECK (open < 'Infinity' AND open > 0),
    high numeric CHECK (high < 'Infinity' AND high > 0),
    low numeric CHECK (low < 'Infinity' AND low > 0),
    close numeric CHECK (close < 'Infinity' AND close > 0),
    volume numeric NOT NULL CHECK (volume < 'Infinity' AND volume >= 0),
    turnover numeric NOT NULL CHECK (turnover < 'Infinity' AND turnover >= 0),
    vwap numeric CHECK (vwap < 'Infinity'),
    trades bigint NOT NULL,
    after_final bigint NOT NULL,
    statuses smallint NOT NULL,
    state text NOT NULL CHECK (state IN ('forming', 'final', 'revised')),
    reason text CHECK (reason IN ('no_trade', 'feed_stale', 'throttled', 'partial_start')),
    open_ts bigint,
    open_partition integer,
    open_offset bigint,
    close_ts bigint,
    close_partition integer,
    close_offset bigint,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (series, interval, start)
) PARTITION BY RANGE (start);

CREATE TABLE core.provider_bars (
    series integer NOT NULL,
    interval text NOT NULL,
    start timestamptz NOT NULL,
    adjustment text NOT NULL,
    open numeric NOT NULL CHECK (open < 'Infinity' AND open > 0),
    high numeric NOT NULL CHECK (high < 'Infinity' AND high > 0),
    low numeric NOT NULL CHECK (low < 'Infinity' AND low > 0),
    close numeric NOT NULL CHECK (close < 'Infinity' AND close > 0),
    volume numeric NOT NULL CHECK (volume < 'Infinity' AND volume >= 0),
    turnover numeric CHECK (turnover < 'Infinity'),
    trades bigint,
    closed boolean NOT NULL,
    arrival bigint NOT NULL,
    log_partition integer NOT NULL,
    log_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (series, interval, start, adjustment)
) PARTITION BY RANGE (start);

-- Closed sessions and holes over 24 hours.
CREATE TABLE core.gaps (
    series integer NOT NULL REFERENCES core.series,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL CHECK (to_at > from_at),
    reason text NOT NULL CHECK (reason IN ('closed', 'hole')),
    PRIMARY KEY (series, reason, from_at)
);

CREATE TABLE core.late_trades (
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    series integer NOT NULL REFERENCES core.series,
    ts bigint NOT NULL,
    arrival bigint NOT NULL,
    appended bigint NOT NULL,
    price numeric NOT NULL CHECK (price < 'Infinity'),
    size numeric NOT NULL CHECK (size < 'Infinity'),
    trade_id text NOT NULL,
    conditions text[] NOT NULL DEFAULT '{}',
    folded_at timestamptz,
    PRIMARY KEY (topic, topic_id, partition, log_offset)
);
CREATE INDEX late_trades_by_series ON core.late_trades (series, ts);

CREATE TABLE core.quarantine (
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    reason text NOT NULL,
    appended bigint NOT NULL,
    size integer NOT NULL,
    sha256 bytea NOT NULL,
    payload bytea NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_id, partition, log_offset)
);
CREATE INDEX quarantine_by_time ON core.quarantine (quarantined_at);

-- What each transaction changed, one row a transaction: out.* is published and SSE resumes from here. Pruned.
CREATE TABLE core.changes (
    shard text NOT NULL,
    commit bigint NOT NULL,
    at timestamptz NOT NULL,
    series integer[] NOT NULL,
    intervals text[] NOT NULL,
    starts bigint[] NOT NULL,
    signals text[] NOT NULL DEFAULT '{}',
    alerts text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (shard, commit)
);
CREATE INDEX changes_by_time ON core.changes (at);

-- How far a reader of `changes` has come.
CREATE TABLE core.cursors (
    reader text NOT NULL,
    shard text NOT NULL,
    commit bigint NOT NULL,
    PRIMARY KEY (reader, shard)
);

CREATE TABLE raw.payloads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    endpoint text NOT NULL,
    fetched_at timestamptz NOT NULL,
    request jsonb NOT NULL,
    payload jsonb NOT NULL,
    topic_id text,
    log_partition integer,
    log_offset bigint,
    UNIQUE (topic_id, log_partition, log_offset)
);
COMMENT ON TABLE raw.payloads IS 'Providers'' answers, untouched; only the flatten job reads them.';

-- Partitions by month are made on demand, by the writer, before the rows that need them.
CREATE FUNCTION core.ensure_month(parent text, month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    child text := format('%s_%s', parent, to_char(month, 'YYYYMM'));
BEGIN
    IF to_regclass('core.' || quote_ident(child)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('core.ensure_month'));
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS core.%I PARTITION OF core.%I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 50)',
        child, parent, to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
END $$;

CREATE FUNCTION core.at(micros bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN timestamptz '1970-01-01 00:00:00+00' + micros * interval '1 microsecond';

-- Minutes without a trade are rows (null prices, zero volume) once they are final.
CREATE VIEW market.bars_all AS
SELECT s.source, s.symbol, b.interval, b.start, b.open, b.high, b.low, b.close, b.volume, b.turnover, b.vwap,
       b.trades, b.state, b.after_final AS revision, b.reason, 'trades'::text AS origin, b.updated_at,
       'raw'::text AS adjustment
FROM core.bars b JOIN core.series s ON s.id = b.series
WHERE b.trades > 0 OR b.state <> 'forming'
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, p.open, p.high, p.low, p.close, p.volume, p.turnover,
       CASE WHEN p.volume > 0 THEN round(p.turnover / p.volume, 18) END,
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at, p.adjustment
FROM core.provider_bars p JOIN core.series s ON s.id = p.series;

-- Where our trades are incomplete or absent, a closed provider bar shows in their place.
CREATE VIEW market.bars AS
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
       greatest(b.updated_at, p.updated_at) AS updated_at
FROM core.bars b
JOIN core.series s ON s.id = b.series
LEFT JOIN core.provider_bars p
    ON p.series = b.series AND p.interval = b.interval AND p.start = b.start AND p.adjustment = 'raw' AND p.closed
   AND (b.reason IS NOT NULL AND b.reason <> 'no_trade')
WHERE b.trades > 0 OR b.state <> 'forming'
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, p.open, p.high, p.low, p.close, p.volume, p.turnover,
       CASE WHEN p.volume > 0 THEN round(p.turnover / p.volume, 18) END,
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at
FROM core.provider_bars p JOIN core.series s ON s.id = p.series
WHERE p.adjustment = 'raw' AND NOT EXISTS (
    SELECT FROM core.bars b WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start
       AND (b.trades > 0 OR b.state <> 'forming'));

CREATE VIEW market.gaps AS
SELECT s.source, s.symbol, g.from_at, g.to_at, g.reason
FROM core.gaps g JOIN core.series s ON s.id = g.series;

CREATE VIEW market.late_trades AS
SELECT s.source, s.symbol, core.at(l.ts) AS ts, core.at(l.arrival) AS arrived_at, l.price, l.size,
       l.trade_id, l.folded_at, l.topic, l.partition, l.log_offset AS "offset"
FROM core.late_trades l JOIN core.series s ON s.id = l.series;

CREATE VIEW market.quarantine AS
SELECT q.topic, q.partition, q.log_offset AS "offset", q.reason, core.at(q.appended) AS appended_at, q.size,
       q.payload, encode(q.sha256, 'hex') AS sha256, q.quarantined_at
FROM core.quarantine q;

CREATE VIEW market.freshness AS
SELECT s.source, s.symbol, core.at(t.clock) AS clock_at, core.at(t.last_minute) AS last_minute,
       now() - core.at(t.clock) AS age, t.updated_at
FROM core.series_state t JOIN core.series s ON s.id = t.series;
