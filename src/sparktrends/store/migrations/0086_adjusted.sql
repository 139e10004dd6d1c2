-- Bars on today's basis: raw prices divided by every split since, adjusted ones by every split since they were told. So a
-- series is on one basis from end to end, whatever was stored when; `market.bars` stays what was traded.
CREATE AGGREGATE core.product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');

-- A quotient has the places of its parts, sixteen digits at least: so one part gets more places than are kept.
CREATE FUNCTION core.adjusted(price numeric, factor numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN factor = 1 THEN price ELSE round(price * 1.00000000000000000000 / factor, 18) END;

-- Each split once, whoever told of it; what is made up splits only what is made up.
CREATE VIEW core.splits AS
SELECT coalesce(substring(a.source FROM '~.*$'), '') AS kind, a.symbol, a.day, max(a.value) AS ratio
FROM core.corporate_actions a WHERE a.kind = 'split' AND a.value > 0 GROUP BY 1, 2, 3;

CREATE INDEX corporate_splits ON core.corporate_actions (symbol, day) WHERE kind = 'split';

CREATE VIEW market.bars_adjusted AS
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
       CASE WHEN p.volume > 0 THEN round(p.turnover / (p.volume * f.factor), 18) END,
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

-- Keys of the raw bars of providers, in the order of an index: see 0021.
CREATE VIEW market.raw_starts AS
SELECT p.series, p.interval, p.start FROM core.provider_bars p WHERE p.adjustment = 'raw';

GRANT SELECT ON market.bars_adjusted, market.raw_starts TO sparktrends_reader;

COMMENT ON VIEW market.bars_adjusted IS 'Bars on today''s basis: prices divided and volumes multiplied by every split since.';
COMMENT ON VIEW market.raw_starts IS 'Keys of the raw bars that providers made, in the order of an index.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT n.relname AS view, a.attname AS name, coalesce(col_description('market.bars_all'::regclass, o.attnum), '') AS words
        FROM pg_class n JOIN pg_attribute a ON a.attrelid = n.oid AND a.attnum > 0
        JOIN pg_attribute o ON o.attrelid = 'market.bars_all'::regclass AND o.attname = a.attname
        WHERE n.relnamespace = to_regnamespace('market') AND n.relname IN ('bars_adjusted', 'raw_starts')
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.view, c.name, c.words);
    END LOOP;
END $$;
COMMENT ON COLUMN market.bars_adjusted.adjustment IS 'always split';
