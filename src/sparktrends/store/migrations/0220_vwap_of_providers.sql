-- The vwap of providers' bars to its last place, as that of trades (law 5): a quotient of numeric has sixteen digits, or the
-- places of its parts, so 100 / 3 ended in zeros. A whole quotient is exact however many digits there are, and half of the
-- last place, added before, rounds away from zero (neither part is ever negative).
CREATE FUNCTION core.vwap(turnover numeric, volume numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN volume > 0 THEN div(turnover * 2e18 + volume, volume * 2) * 1e-18 END;

CREATE OR REPLACE VIEW market.bars_all AS
SELECT s.source, s.symbol, b.interval, b.start, b.open, b.high, b.low, b.close, b.volume, b.turnover, b.vwap,
       b.trades, b.state, b.after_final AS revision, b.reason,
       CASE WHEN s.pseudo THEN 'pseudo' ELSE 'trades' END AS origin, b.updated_at, 'raw'::text AS adjustment, b.series
FROM core.bars b JOIN core.series s ON s.id = b.series
WHERE b.trades > 0 OR b.state <> 'forming'
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, p.open, p.high, p.low, p.close, p.volume, p.turnover,
       core.vwap(p.turnover, p.volume),
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
       CASE WHEN p.series IS NULL THEN b.vwap ELSE core.vwap(p.turnover, p.volume) END AS vwap,
       CASE WHEN p.series IS NULL THEN b.trades ELSE p.trades END AS trades,
       b.state, b.after_final AS revision, b.reason,
       CASE WHEN p.series IS NOT NULL THEN 'provider' WHEN s.pseudo THEN 'pseudo' ELSE 'trades' END AS origin,
       greatest(b.updated_at, p.updated_at) AS updated_at, b.series
FROM core.bars b
JOIN core.series s ON s.id = b.series
LEFT JOIN LATERAL (
    SELECT k.* FROM (
        SELECT q.series, q.open, q.high, q.low, q.close, q.volume, q.turnover, q.trades, q.updated_at
        FROM core.provider_bars q
        WHERE q.series = b.series AND q.interval = b.interval AND q.start = b.start AND q.adjustment = 'raw' AND q.closed
        LIMIT 1) k
    WHERE b.reason IS NOT NULL AND b.reason <> 'no_trade' LIMIT 1) p ON true
WHERE b.trades > 0 OR b.state <> 'forming'
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, p.open, p.high, p.low, p.close, p.volume, p.turnover,
       core.vwap(p.turnover, p.volume),
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at, p.series
FROM core.provider_bars p JOIN core.series s ON s.id = p.series
WHERE p.adjustment = 'raw' AND (
    SELECT true FROM core.bars b WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start
       AND (b.trades > 0 OR b.state <> 'forming') LIMIT 1) IS NULL;

CREATE OR REPLACE VIEW market.bars_adjusted AS
SELECT b.source, b.symbol, b.interval, b.start, core.adjusted(b.open, f.factor) AS open,
       core.adjusted(b.high, f.factor) AS high, core.adjusted(b.low, f.factor) AS low,
       core.adjusted(b.close, f.factor) AS close, b.volume * f.factor AS volume, b.turnover,
       core.adjusted(b.vwap, f.factor) AS vwap, b.trades, b.state, b.revision, b.reason, b.origin, b.updated_at,
       'split'::text AS adjustment, b.series
FROM market.bars b CROSS JOIN LATERAL (
    SELECT core.product(s.ratio) AS factor FROM core.splits s
    WHERE s.kind = coalesce(substring(b.source FROM '~.*$'), '') AND s.symbol = b.symbol
      AND s.day > (b.start AT TIME ZONE 'UTC')::date AND s.day <= (now() AT TIME ZONE 'UTC')::date) f
UNION ALL
SELECT s.source, s.symbol, p.interval, p.start, core.adjusted(p.open, f.factor), core.adjusted(p.high, f.factor),
       core.adjusted(p.low, f.factor), core.adjusted(p.close, f.factor), p.volume * f.factor, p.turnover,
       core.vwap(p.turnover, p.volume * f.factor),
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at, 'split', p.series
FROM core.provider_bars p JOIN core.series s ON s.id = p.series
CROSS JOIN LATERAL (
    SELECT core.product(x.ratio) AS factor FROM core.splits x
    WHERE x.kind = coalesce(substring(s.source FROM '~.*$'), '') AND x.symbol = s.symbol
      AND x.day > (core.at(p.arrival) AT TIME ZONE 'UTC')::date AND x.day <= (now() AT TIME ZONE 'UTC')::date) f
WHERE p.adjustment = 'split' AND NOT EXISTS (
    SELECT FROM core.provider_bars r WHERE r.series = p.series AND r.interval = p.interval AND r.start = p.start
       AND r.adjustment = 'raw')
  AND NOT EXISTS (
    SELECT FROM core.bars b WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start
       AND (b.trades > 0 OR b.state <> 'forming'));
