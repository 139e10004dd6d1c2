-- The provider's bar is looked for where a minute is incomplete, and nowhere else. The condition stood beside the key, and
-- PostgreSQL handed both down to the partitions: so for every complete minute too it chose a month and found the condition
-- not met there. Behind a LIMIT of its own the look-up is not begun: of a year of minutes, half the time.
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
       CASE WHEN p.volume > 0 THEN round(p.turnover / p.volume, 18) END,
       p.trades, CASE WHEN p.closed THEN 'final' ELSE 'forming' END, 0, NULL, 'provider', p.updated_at, p.series
FROM core.provider_bars p JOIN core.series s ON s.id = p.series
WHERE p.adjustment = 'raw' AND (
    SELECT true FROM core.bars b WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start
       AND (b.trades > 0 OR b.state <> 'forming') LIMIT 1) IS NULL;
