-- Each night: the bars of our trades against the bars a provider made of the same minutes.

CREATE TABLE core.truth (
    series integer NOT NULL REFERENCES core.series,
    day date NOT NULL,
    against text,
    minutes integer NOT NULL CHECK (minutes >= 0),
    compared integer NOT NULL CHECK (compared BETWEEN 0 AND minutes),
    equal integer NOT NULL CHECK (equal BETWEEN 0 AND compared),
    error_bp double precision CHECK (error_bp >= 0),
    worst_bp double precision CHECK (worst_bp >= 0),
    worst_at timestamptz,
    contradictions integer NOT NULL CHECK (contradictions BETWEEN 0 AND compared),
    coverage double precision CHECK (coverage >= 0),
    missing jsonb NOT NULL,
    partial jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (series, day)
);
CREATE INDEX truth_by_day ON core.truth (day);

CREATE VIEW market.truth AS
SELECT t.day, s.source, s.symbol, t.against, t.minutes, t.compared, t.equal, t.error_bp, t.worst_bp, t.worst_at,
       t.contradictions, t.coverage, t.missing, t.partial, t.updated_at, t.series
FROM core.truth t JOIN core.series s ON s.id = t.series;

GRANT SELECT ON market.truth TO sparktrends_reader;

COMMENT ON VIEW market.truth IS 'Minutes of our trades against the provider''s own bars, a row a series and day.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('day', 'day, UTC'),
            ('source', 'where the trades came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('against', 'whose bars they are held against; null when nobody has bars of these minutes'),
            ('minutes', 'minutes of the day in which the market was open and the series known'),
            ('compared', 'minutes of which we have all trades and the provider has a bar'),
            ('equal', 'compared minutes with the same prices and the same volume'),
            ('error_bp', 'mean error of open, high, low and close in compared minutes, in basis points'),
            ('worst_bp', 'largest such error, in basis points'),
            ('worst_at', 'minute of the largest error; null when every minute is equal in price'),
            ('contradictions', 'compared minutes in which our high or low lies more than 5 basis points outside the provider''s'),
            ('coverage', 'our share of the provider''s volume, in all minutes it has; null when it has none'),
            ('missing', 'minutes without a trade of ours that should have some, by cause'),
            ('partial', 'minutes with some of their trades only, by cause'),
            ('updated_at', 'when the row last changed'),
            ('series', 'key of the series, as in market.series')
        ) AS words(name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND i.table_name = 'truth'
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
