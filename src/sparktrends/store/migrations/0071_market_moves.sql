-- What the second step says of a minute: that a market moved as one, and which series moved against its peers.

CREATE TABLE core.market_moves (
    source text NOT NULL,
    exchange text NOT NULL,
    start timestamptz NOT NULL,
    direction text NOT NULL CHECK (direction IN ('up', 'down')),
    median double precision NOT NULL,
    log_return double precision NOT NULL,
    members integer NOT NULL CHECK (members > 0),
    up integer NOT NULL,
    down integer NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (source, exchange, start)
);
CREATE INDEX market_moves_by_start ON core.market_moves (start);

CREATE TABLE core.peer_moves (
    series integer NOT NULL REFERENCES core.series,
    start timestamptz NOT NULL,
    source text NOT NULL,
    exchange text NOT NULL,
    log_return double precision NOT NULL,
    move double precision NOT NULL,
    median double precision NOT NULL,
    apart double precision NOT NULL,
    members integer NOT NULL CHECK (members > 0),
    found_at timestamptz NOT NULL,
    PRIMARY KEY (series, start)
);
CREATE INDEX peer_moves_by_start ON core.peer_moves (start);

CREATE VIEW market.market_moves AS
SELECT m.start, m.source, m.exchange, m.direction, m.median, m.log_return, m.members, m.up, m.down, m.found_at
FROM core.market_moves m;

CREATE VIEW market.peer_moves AS
SELECT p.start, s.source, s.symbol, p.exchange, CASE WHEN p.apart > 0 THEN 'up' ELSE 'down' END AS direction,
       p.log_return, p.move, p.median, p.apart, p.members, p.found_at, p.series
FROM core.peer_moves p JOIN core.series s ON s.id = p.series;

GRANT SELECT ON market.market_moves, market.peer_moves TO sparktrends_reader;

COMMENT ON VIEW market.market_moves IS
    'Minutes in which a market moved as one: half of its symbols or more moved three deviations in one direction.';
COMMENT ON VIEW market.peer_moves IS
    'Minutes in which a symbol moved far from the median of its peers, in units of what is usual among them.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('start', 'beginning of the minute'),
            ('source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('exchange', 'whose hours the symbols of the market keep, such as XNYS, or 24/7'),
            ('direction', 'up or down; of a symbol: against its peers'),
            ('median', 'median move of the members, in units of each one''s own volatility before the minute'),
            ('log_return', 'log return of the minute: of the symbol, or the median of the members'),
            ('members', 'symbols of this source and exchange with a final, warm bar at the minute'),
            ('up', 'members that rose by three deviations or more'),
            ('down', 'members that fell by three deviations or more'),
            ('move', 'log return of the symbol in units of its volatility before the minute'),
            ('apart', 'distance of the move from the median, in units of what is usual among the members'),
            ('found_at', 'when it was found; a revision of the minute may find it anew'),
            ('series', 'key of the series, as in market.series')
        ) AS words(name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND i.table_name IN ('market_moves', 'peer_moves')
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
