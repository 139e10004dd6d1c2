-- How much was traded at which price, session by session. One row a session; people read a row for each level.

CREATE TABLE core.volume_profiles (
    series integer NOT NULL REFERENCES core.series,
    day date NOT NULL,
    opens timestamptz NOT NULL,
    closes timestamptz NOT NULL CHECK (closes > opens),
    step numeric NOT NULL CHECK (step > 0 AND step < 'Infinity'),
    low numeric NOT NULL CHECK (low >= 0 AND low < 'Infinity'),
    volumes numeric[] NOT NULL CHECK (cardinality(volumes) > 0),
    control integer NOT NULL CHECK (control BETWEEN 0 AND cardinality(volumes) - 1),
    value_first integer NOT NULL CHECK (value_first BETWEEN 0 AND control),
    value_last integer NOT NULL CHECK (value_last BETWEEN control AND cardinality(volumes) - 1),
    minutes integer NOT NULL CHECK (minutes > 0),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (series, day)
);
CREATE INDEX volume_profiles_by_day ON core.volume_profiles (day);

CREATE VIEW market.volume_profile AS
SELECT p.day, s.source, s.symbol, p.low + p.step * (l.number - 1) AS price, p.step, l.volume,
       round(l.volume / t.volume, 6) AS share,
       l.number - 1 = p.control AS point_of_control,
       l.number - 1 BETWEEN p.value_first AND p.value_last AS in_value_area,
       p.opens, p.closes, p.minutes, p.updated_at, p.series
FROM core.volume_profiles p
JOIN core.series s ON s.id = p.series
CROSS JOIN LATERAL (SELECT sum(v) AS volume FROM unnest(p.volumes) v) t
CROSS JOIN LATERAL unnest(p.volumes) WITH ORDINALITY AS l(volume, number)
WHERE l.volume > 0;

GRANT SELECT ON market.volume_profile TO sparktrends_reader;

COMMENT ON VIEW market.volume_profile IS
    'Volume by price of each session: every minute''s volume at that minute''s mean price. Made by the daily run.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('day', 'day on which the session began, UTC'),
            ('source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('price', 'lower edge of the level, in the quote currency'),
            ('step', 'height of the level: it holds prices from price up to price + step'),
            ('volume', 'what was traded in minutes whose mean price lies in the level, in units of the instrument'),
            ('share', 'share of the session''s volume, 0 to 1'),
            ('point_of_control', 'true for the level with the largest volume of the session'),
            ('in_value_area', 'true for the levels around the point of control that hold 70 % of the volume'),
            ('opens', 'when the session began; midnight UTC where trading never stops'),
            ('closes', 'when the session ended'),
            ('minutes', 'minutes of the session with trades'),
            ('updated_at', 'when the profile last changed'),
            ('series', 'key of the series, as in market.series')
        ) AS words(name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND i.table_name = 'volume_profile'
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
