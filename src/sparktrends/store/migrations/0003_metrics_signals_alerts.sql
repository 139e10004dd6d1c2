-- What the analysis makes of bars: metrics, signals, alerts, and the state it goes on from.
CREATE TABLE core.metrics (
    series integer NOT NULL,
    interval text NOT NULL,
    start timestamptz NOT NULL,
    "return" double precision, log_return double precision,
    volatility_20 double precision, volatility_ewma double precision,
    sma_20 double precision, sma_50 double precision, sma_200 double precision,
    ema_12 double precision, ema_20 double precision, ema_26 double precision,
    ema_50 double precision, ema_200 double precision,
    rsi_14 double precision, macd double precision, macd_signal double precision, macd_hist double precision,
    bb_upper double precision, bb_middle double precision, bb_lower double precision,
    atr_14 double precision, adx_14 double precision, stoch_k double precision, stoch_d double precision,
    obv double precision, mfi_14 double precision, roc_10 double precision, vwap_session double precision,
    volume_sma_20 double precision, volume_ratio double precision, volume_z double precision,
    warm boolean NOT NULL,
    revision bigint NOT NULL,
    final boolean NOT NULL,
    extra jsonb,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (series, interval, start)
) PARTITION BY RANGE (start);

-- The analysis after some bars: every final one within the grace, one a day for ever. The newest is where it stands;
-- a revision restarts from one before it.
CREATE TABLE core.snapshots (
    series integer NOT NULL REFERENCES core.series,
    interval text NOT NULL,
    start bigint NOT NULL,
    layout text NOT NULL,
    daily boolean NOT NULL DEFAULT false,
    state bytea NOT NULL,
    PRIMARY KEY (series, interval, start)
);

CREATE TABLE core.signals (
    id text PRIMARY KEY,
    series integer NOT NULL REFERENCES core.series,
    interval text NOT NULL,
    start timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('anomaly', 'pattern', 'trend', 'sequence', 'feed')),
    name text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('up', 'down', 'none')),
    score double precision NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    detail jsonb NOT NULL,
    detected_at timestamptz NOT NULL,
    retracted_at timestamptz
);
CREATE INDEX signals_by_series ON core.signals (series, interval, start);
CREATE INDEX signals_by_start ON core.signals (start);

-- The outbox. `silent` says why nothing is sent outside (simulated, replay, fill, old); null = it is sent.
CREATE TABLE core.alerts (
    id text PRIMARY KEY,
    rule text NOT NULL,
    series integer REFERENCES core.series,
    interval text,
    start timestamptz NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    title text NOT NULL,
    channels text[] NOT NULL,
    signals text[] NOT NULL DEFAULT '{}',
    "values" jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'firing' CHECK (status IN ('pending', 'firing', 'resolved', 'retracted')),
    silent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    retracted_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    correlation text
);
CREATE INDEX alerts_by_time ON core.alerts (created_at);
CREATE INDEX alerts_by_start ON core.alerts (start);

-- One row an alert and channel: the dispatcher takes a lease, sends, marks.
CREATE TABLE core.deliveries (
    alert text NOT NULL REFERENCES core.alerts,
    channel text NOT NULL,
    kind text NOT NULL DEFAULT 'alert' CHECK (kind IN ('alert', 'retraction', 'resolution')),
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'leased', 'sent', 'dead', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    unknown_outcomes integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    leased_by text,
    leased_until timestamptz,
    sent_at timestamptz,
    error text,
    PRIMARY KEY (alert, channel, kind)
);
CREATE INDEX deliveries_due ON core.deliveries (due_at) WHERE state IN ('due', 'leased');

CREATE TABLE core.silences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text,
    source text,
    symbol text,
    from_at timestamptz NOT NULL DEFAULT now(),
    until_at timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    created_by text NOT NULL DEFAULT ''
);

CREATE VIEW market.metrics AS
SELECT s.source, s.symbol, m.interval, m.start, m."return", m.log_return, m.volatility_20, m.volatility_ewma,
       m.sma_20, m.sma_50, m.sma_200, m.ema_12, m.ema_20, m.ema_26, m.ema_50, m.ema_200, m.rsi_14,
       m.macd, m.macd_signal, m.macd_hist, m.bb_upper, m.bb_middle, m.bb_lower, m.atr_14, m.adx_14,
       m.stoch_k, m.stoch_d, m.obv, m.mfi_14, m.roc_10, m.vwap_session, m.volume_sma_20, m.volume_ratio,
       m.volume_z, m.warm, m.revision, m.extra, m.final, m.updated_at
FROM core.metrics m JOIN core.series s ON s.id = m.series;

CREATE VIEW market.signals AS
SELECT g.id, s.source, s.symbol, g.interval, g.start, g.kind, g.name, g.direction, g.score, g.severity, g.detail,
       g.detected_at, g.retracted_at
FROM core.signals g JOIN core.series s ON s.id = g.series;

CREATE VIEW market.alerts AS
SELECT a.id, a.rule, s.source, s.symbol, a.interval, a.start, a.severity, a.title, a.channels, a.signals,
       a."values", a.status, a.silent, a.created_at, a.resolved_at, a.retracted_at, a.acknowledged_at,
       a.acknowledged_by,
       (SELECT min(d.sent_at) FROM core.deliveries d WHERE d.alert = a.id AND d.state = 'sent') AS first_sent_at,
       (SELECT string_agg(d.channel || ': ' || d.state, ', ' ORDER BY d.channel)
        FROM core.deliveries d WHERE d.alert = a.id) AS deliveries
FROM core.alerts a LEFT JOIN core.series s ON s.id = a.series;
