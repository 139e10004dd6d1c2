-- What rules may know of news: when each story about a symbol was first known here, and its first score with the time of
-- that. Nothing in it ever changes again but a score that was not there yet, so a bar that is judged again sees what it
-- saw the first time. A story that several providers tell counts once a day. USDT and USDC count as the dollar.
CREATE TABLE core.known_news (
    kind text NOT NULL,
    symbol text NOT NULL,
    day date NOT NULL,
    headline_key text NOT NULL,
    source text NOT NULL,
    story text NOT NULL,
    published_at timestamptz NOT NULL,
    known_at timestamptz NOT NULL,
    score double precision CHECK (score BETWEEN -1 AND 1),
    scored_at timestamptz CHECK (scored_at >= known_at),
    PRIMARY KEY (kind, symbol, day, headline_key)
);
CREATE INDEX known_news_by_symbol ON core.known_news (symbol, known_at);
CREATE INDEX known_news_by_story ON core.known_news (source, story);
CREATE INDEX known_news_unscored ON core.known_news (source, story) WHERE scored_at IS NULL;

-- What is here already was known when it was last written, at the latest.
INSERT INTO core.known_news (kind, symbol, day, headline_key, source, story, published_at, known_at, score, scored_at)
SELECT DISTINCT ON (1, 2, 3, 4)
    coalesce(substring(n.source FROM '~.*$'), ''), regexp_replace(m.symbol, '/USD[TC]$', '/USD'),
    (n.published_at AT TIME ZONE 'UTC')::date, n.headline_key, n.source, n.id, n.published_at, n.updated_at,
    coalesce(m.score, n.score), CASE WHEN coalesce(m.score, n.score) IS NOT NULL THEN n.updated_at END
FROM core.news n JOIN core.mentions m ON m.source = n.source AND m.story = n.id
ORDER BY 1, 2, 3, 4, n.updated_at, n.source, n.id;

CREATE VIEW market.known_news AS
SELECT k.source, k.story AS id, k.symbol, k.published_at, k.known_at, k.score, k.scored_at FROM core.known_news k;
GRANT SELECT ON market.known_news TO sparktrends_reader;

COMMENT ON VIEW market.known_news IS
    'When each story about a symbol was first known here, and its first score: what news_1h, news_24h and sentiment_24h of a rule count.';
COMMENT ON COLUMN market.known_news.source IS
    'where the story was first known from; ends in ~sim when simulated, in ~replay when replayed';
COMMENT ON COLUMN market.known_news.id IS 'id of the story, as in market.news';
COMMENT ON COLUMN market.known_news.symbol IS
    'our name of the instrument, such as BTC/USD or AAPL; USDT and USDC count as the dollar';
COMMENT ON COLUMN market.known_news.published_at IS 'when its publisher says that it was published';
COMMENT ON COLUMN market.known_news.known_at IS
    'when it was first known here, by the clock of the database: it counts for bars that start later';
COMMENT ON COLUMN market.known_news.score IS
    'the first score of what it says of the symbol, -1 (worst) to 1 (best); later scores are in market.news_mentions only';
COMMENT ON COLUMN market.known_news.scored_at IS
    'when that score was first known: it counts for bars that start later; null until then';
