-- Every table and column that a person reads says what it is.
COMMENT ON VIEW market.bars IS 'Price bars of every series. Where our trades are incomplete or absent, the provider''s closed bar shows.';
COMMENT ON VIEW market.bars_all IS 'Bars folded from trades and bars that providers made, side by side.';
COMMENT ON VIEW market.gaps IS 'Closed sessions and holes of more than 24 hours: minutes inside have no rows.';
COMMENT ON VIEW market.late_trades IS 'Trades that came more than the grace after their time: in no bar until repair folds them in.';
COMMENT ON VIEW market.quarantine IS 'Records that could not be used, with the reason and where they lie in Kafka.';
COMMENT ON VIEW market.freshness IS 'How old the newest word of each series is.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT * FROM (VALUES
            ('source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('interval', 'length of the bar: 1m 5m 15m 1h 1d'),
            ('start', 'beginning of the bar, inclusive'),
            ('open', 'price of the first trade, in the quote currency; null without a trade'),
            ('high', 'highest price, in the quote currency; null without a trade'),
            ('low', 'lowest price, in the quote currency; null without a trade'),
            ('close', 'price of the last trade, in the quote currency; null without a trade'),
            ('volume', 'sum of the sizes, in units of the base asset; exact'),
            ('turnover', 'sum of price times size, in the quote currency; exact'),
            ('vwap', 'turnover / volume, rounded half away from zero to 18 places; null at volume 0'),
            ('trades', 'number of trades'),
            ('state', 'forming, final (its clock has passed the end by 5 s) or revised (final, then changed)'),
            ('revision', 'records accepted after the bar was final'),
            ('reason', 'why it is empty or incomplete: no_trade, feed_stale, throttled, partial_start'),
            ('origin', 'trades (our fold), provider (a provider''s bar) or pseudo (from quotes)'),
            ('adjustment', 'raw, or split: prices adjusted for splits'),
            ('updated_at', 'when the row last changed'),
            ('from_at', 'beginning of the span, inclusive'),
            ('to_at', 'end of the span, exclusive'),
            ('ts', 'time of the trade by its source'),
            ('arrived_at', 'when it reached us'),
            ('price', 'price in the quote currency'),
            ('size', 'size in units of the base asset, or bytes of the record in quarantine'),
            ('trade_id', 'the source''s id of the trade; empty where it has none'),
            ('folded_at', 'when repair folded the trade into its bar; null until then'),
            ('topic', 'Kafka topic of the record'),
            ('partition', 'Kafka partition of the record'),
            ('offset', 'Kafka offset of the record'),
            ('appended_at', 'when the broker appended the record'),
            ('payload', 'the record, up to its first 64 KiB'),
            ('sha256', 'SHA-256 of the whole record, in hex'),
            ('quarantined_at', 'when the record was set aside'),
            ('clock_at', 'largest arrival among the series'' accepted records, price updates and heartbeats'),
            ('last_minute', 'newest minute with a trade or a heartbeat'),
            ('age', 'time since clock_at')
        ) AS words(name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
