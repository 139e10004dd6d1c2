-- The clock moves with every heartbeat, whatever it says: its age alone does not tell a quiet market from a dead feed or a
-- closed exchange. Each new column asks by key, and costs nothing where nobody selects it.
CREATE OR REPLACE VIEW market.freshness AS
SELECT f.source, f.symbol, f.clock_at, f.last_minute, f.age, f.updated_at, f.reason, f.exchange_closed, f.last_price_at,
       now() - f.last_price_at AS price_age
FROM (
    SELECT s.source, s.symbol, core.at(t.clock) AS clock_at, core.at(t.last_minute) AS last_minute,
           now() - core.at(t.clock) AS age, t.updated_at,
           (SELECT b.reason FROM core.bars b
            WHERE b.series = t.series AND b.interval = '1m' AND b.start = core.at(t.last_minute)) AS reason,
           -- A closed session grows with its heartbeats: it is the present while nothing newer than it is known.
           EXISTS (SELECT FROM core.gaps g WHERE g.series = t.series AND g.reason = 'closed'
               AND g.from_at <= core.at(t.last_minute) AND g.to_at > core.at(t.last_minute)) AS exchange_closed,
           greatest(
               -- Of a day, for a series may have been silent for thousands of minutes; it lacks those that are not final.
               (SELECT core.at(b.close_ts) FROM core.bars b
                WHERE b.series = t.series AND b.interval = '1d' AND b.trades > 0 ORDER BY b.start DESC LIMIT 1),
               (SELECT core.at(b.close_ts) FROM core.bars b
                WHERE b.series = t.series AND b.interval = '1m' AND b.trades > 0
                  AND b.start BETWEEN core.at(t.last_minute) - interval '3 minutes' AND core.at(t.last_minute)
                ORDER BY b.start DESC LIMIT 1),
               (SELECT least(core.at(p.arrival), p.start + interval '1 minute') FROM core.provider_bars p
                WHERE p.series = t.series AND p.interval = '1m' ORDER BY p.start DESC LIMIT 1)) AS last_price_at
    FROM core.series_state t JOIN core.series s ON s.id = t.series) f;

COMMENT ON VIEW market.freshness IS
    'How old the newest word and the newest price of each series are: a quiet market, a dead feed or a closed exchange.';
COMMENT ON COLUMN market.freshness.reason IS
    'of last_minute, why it is empty or incomplete so far: no_trade is a quiet market, feed_stale a dead feed, throttled a '
    'spent quota, partial_start a connection that has just begun; null with trades and nothing amiss, or in a closed session';
COMMENT ON COLUMN market.freshness.exchange_closed IS
    'whether the newest word of the series is that its exchange is closed (an open span of market.gaps)';
COMMENT ON COLUMN market.freshness.last_price_at IS
    'time of the newest trade by its source, or the end of the newest minute that a provider''s bar tells of (its arrival '
    'while it forms), whichever is later; null before the first one. Quotes between trades do not count';
COMMENT ON COLUMN market.freshness.price_age IS 'time since last_price_at';
