-- How good the data of each series was, day by day, and the minutes that lost points.

CREATE TABLE core.quality (
    series integer NOT NULL REFERENCES core.series,
    day date NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 100),
    minutes integer NOT NULL CHECK (minutes >= 0),
    points jsonb NOT NULL,
    faulty jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (series, day)
);
CREATE INDEX quality_by_day ON core.quality (day);

CREATE TABLE core.quality_minutes (
    series integer NOT NULL REFERENCES core.series,
    start timestamptz NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 100),
    points jsonb NOT NULL,
    PRIMARY KEY (series, start)
);

CREATE VIEW market.quality AS
SELECT q.day, s.source, s.symbol, q.score, q.minutes, q.points AS reasons, q.faulty, q.updated_at, q.series
FROM core.quality q JOIN core.series s ON s.id = q.series;

CREATE VIEW market.quality_minutes AS
SELECT q.start, s.source, s.symbol, q.score, q.points AS reasons, q.series
FROM core.quality_minutes q JOIN core.series s ON s.id = q.series;

GRANT SELECT ON market.quality, market.quality_minutes TO sparktrends_reader;

COMMENT ON VIEW market.quality IS 'Score of each series and day, with the reasons that made it; see docs/how-to/quality.md.';
COMMENT ON VIEW market.quality_minutes IS 'Minutes that lost points; a judged minute without a row scored 100.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('day', 'day, UTC'),
            ('start', 'beginning of the minute'),
            ('source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('score', '0 to 100: 100 minus the sum of the reasons'),
            ('minutes', 'minutes of the day in which the market was open and the series known'),
            ('reasons', 'points lost, by check'),
            ('faulty', 'in how many minutes each check found something'),
            ('updated_at', 'when the day was judged'),
            ('series', 'key of the series, as in market.series')
        ) AS words(name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND i.table_name IN ('quality', 'quality_minutes')
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
