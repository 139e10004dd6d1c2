-- Bars of sources that tell prices and a day's volume instead of trades say so: their origin is `pseudo`.
ALTER TABLE core.series ADD COLUMN pseudo boolean NOT NULL
    GENERATED ALWAYS AS (split_part(source, '~', 1) IN ('twelve_data', 'yahoo')) STORED;
COMMENT ON COLUMN core.series.pseudo IS 'true for sources without a trade tape: what they stream stands in for trades';

CREATE OR REPLACE VIEW market.bars_all AS
SELECT s.source, s.symbol, b.interval, b.start, b.open, b.high, b.low, b.close, b.volume, b.turnover, b.vwap,
       b.trades, b.state, b.after_final AS revision, b.reason,
       CASE WHEN s.pseudo THEN 'pseudo' ELSE 'trades' END AS origin, b.updated_at, 'raw'::text AS adjustment, b.series
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
       CASE WHEN p.series IS NOT NULL THEN 'provider' WHEN s.pseudo THEN 'pseudo' ELSE 'trades' END AS origin,
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
