-- Where bars are. PostgreSQL cannot read `market.bars`, a union of joins, in the order of an index: asked for the
-- newest ten bars it would read the whole series. These two can be read so, and say where the newest ten begin.
CREATE VIEW market.trade_starts AS
SELECT b.series, b.interval, b.start FROM core.bars b WHERE b.trades > 0 OR b.state <> 'forming';

CREATE VIEW market.provider_starts AS
SELECT p.series, p.interval, p.start, p.adjustment FROM core.provider_bars p;

GRANT SELECT ON market.trade_starts, market.provider_starts TO sparktrends_reader;

COMMENT ON VIEW market.trade_starts IS 'Keys of the bars folded from trades, in the order of an index.';
COMMENT ON VIEW market.provider_starts IS 'Keys of the bars that providers made, in the order of an index.';
DO $$
DECLARE
    v text;
BEGIN
    FOREACH v IN ARRAY ARRAY['trade_starts', 'provider_starts'] LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.series IS %L', v, 'key of the series, as in market.series');
        EXECUTE format('COMMENT ON COLUMN market.%I.interval IS %L', v, 'length of the bar: 1m 5m 15m 1h 1d');
        EXECUTE format('COMMENT ON COLUMN market.%I.start IS %L', v, 'beginning of the bar, inclusive');
    END LOOP;
END $$;
COMMENT ON COLUMN market.provider_starts.adjustment IS 'raw, or split: prices adjusted for splits';
