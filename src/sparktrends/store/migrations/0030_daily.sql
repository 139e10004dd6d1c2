-- The daily run: news, companies, corporate actions and trends, and what became of every fetched answer.

-- One story of one source. A provider tells it under several ids: `story_ids` leads from each of them to the one kept.
CREATE TABLE core.news (
    source text NOT NULL,
    id text NOT NULL,
    published_at timestamptz NOT NULL,
    headline text NOT NULL,
    headline_key text NOT NULL,
    summary text NOT NULL,
    url text NOT NULL,
    publisher text NOT NULL,
    provider_score double precision,
    provider_label text NOT NULL,
    score double precision CHECK (score BETWEEN -1 AND 1),
    label text,
    evidence jsonb,
    topics text[] NOT NULL DEFAULT '{}',
    model text,
    payload bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX news_by_time ON core.news (published_at);
CREATE INDEX news_by_headline ON core.news (source, headline_key, published_at);
CREATE INDEX news_by_model ON core.news (model);

CREATE TABLE core.story_ids (
    source text NOT NULL,
    provider_id text NOT NULL,
    story text NOT NULL,
    PRIMARY KEY (source, provider_id),
    FOREIGN KEY (source, story) REFERENCES core.news ON DELETE CASCADE
);
CREATE INDEX story_ids_by_story ON core.story_ids (source, story);

CREATE TABLE core.mentions (
    source text NOT NULL,
    story text NOT NULL,
    symbol text NOT NULL,
    provider_score double precision,
    score double precision CHECK (score BETWEEN -1 AND 1),
    label text,
    evidence jsonb,
    PRIMARY KEY (source, story, symbol),
    FOREIGN KEY (source, story) REFERENCES core.news ON DELETE CASCADE
);
CREATE INDEX mentions_by_symbol ON core.mentions (symbol);

-- What a provider said of a company on each day it was asked; the views show the newest, and the days of change.
CREATE TABLE core.companies (
    source text NOT NULL,
    symbol text NOT NULL,
    day date NOT NULL,
    name text NOT NULL,
    exchange text NOT NULL,
    currency text NOT NULL,
    sector text NOT NULL,
    industry text NOT NULL,
    country text NOT NULL,
    shares numeric CHECK (shares < 'Infinity'),
    market_cap numeric CHECK (market_cap < 'Infinity'),
    payload bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (source, symbol, day)
);

CREATE TABLE core.corporate_actions (
    source text NOT NULL,
    symbol text NOT NULL,
    day date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('split', 'dividend')),
    value numeric NOT NULL CHECK (value < 'Infinity'),
    payload bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (source, symbol, day, kind)
);

CREATE TABLE core.daily_trends (
    source text NOT NULL,
    symbol text NOT NULL,
    day date NOT NULL,
    close double precision,
    "return" double precision,
    return_z double precision,
    volatility double precision,
    volatility_ratio double precision,
    volume double precision,
    volume_ratio double precision,
    volume_z double precision,
    momentum double precision,
    headlines integer NOT NULL,
    sentiment double precision CHECK (sentiment BETWEEN -1 AND 1),
    sentiment_z double precision,
    topics text[] NOT NULL,
    changes text[] NOT NULL,
    tag text NOT NULL,
    summary text NOT NULL,
    rank integer,
    evidence jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (source, symbol, day)
);
CREATE INDEX daily_trends_by_day ON core.daily_trends (day);

-- The calls of each day and what became of them: a run goes on where the last one had to stop.
CREATE TABLE core.daily_calls (
    day date NOT NULL,
    source text NOT NULL,
    call text NOT NULL,
    endpoint text NOT NULL,
    symbols text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('done', 'refused', 'failed')),
    reason text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (day, source, call)
);

-- What the flatten job made of each payload; one without a row here waits for it.
CREATE TABLE core.readings (
    payload bigint PRIMARY KEY REFERENCES raw.payloads ON DELETE CASCADE,
    outcome text NOT NULL,
    news integer NOT NULL,
    bars integer NOT NULL,
    companies integer NOT NULL,
    actions integer NOT NULL,
    rejects integer NOT NULL,
    unknown jsonb NOT NULL,
    missing jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE core.payload_rejects (
    payload bigint NOT NULL REFERENCES raw.payloads ON DELETE CASCADE,
    number integer NOT NULL,
    reason text NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (payload, number)
);

CREATE VIEW market.news AS
SELECT n.source, n.id, n.published_at, n.headline, n.summary, n.url, n.publisher,
       ARRAY(SELECT m.symbol FROM core.mentions m WHERE m.source = n.source AND m.story = n.id ORDER BY 1) AS symbols,
       n.score, n.label, n.evidence, n.topics, n.model, n.provider_score, n.provider_label, n.updated_at
FROM core.news n;

CREATE VIEW market.news_mentions AS
SELECT m.source, m.story AS id, m.symbol, n.published_at, n.headline, m.score, m.label, m.evidence, n.topics,
       m.provider_score
FROM core.mentions m JOIN core.news n ON n.source = m.source AND n.id = m.story;

CREATE VIEW market.companies AS
SELECT DISTINCT ON (c.source, c.symbol)
       c.source, c.symbol, c.day, c.name, c.exchange, c.currency, c.sector, c.industry, c.country, c.shares,
       c.market_cap, c.updated_at
FROM core.companies c ORDER BY c.source, c.symbol, c.day DESC;

CREATE VIEW market.company_history AS
SELECT h.source, h.symbol, h.day, h.name, h.exchange, h.currency, h.sector, h.industry, h.country, h.shares,
       h.market_cap
FROM (
    SELECT c.*, lag(ROW(c.name, c.exchange, c.currency, c.sector, c.industry, c.country, c.shares, c.market_cap))
                OVER (PARTITION BY c.source, c.symbol ORDER BY c.day) AS before
    FROM core.companies c) h
WHERE h.before IS DISTINCT FROM
      ROW(h.name, h.exchange, h.currency, h.sector, h.industry, h.country, h.shares, h.market_cap);

CREATE VIEW market.corporate_actions AS
SELECT a.source, a.symbol, a.day, a.kind, a.value, a.updated_at FROM core.corporate_actions a;

-- Some providers have daily prices adjusted for splits only: these show where there are no raw ones.
CREATE VIEW market.daily_prices AS
SELECT b.source, b.symbol, b.interval, b.start, (b.start AT TIME ZONE 'UTC')::date AS day, b.open, b.high, b.low,
       b.close, b.volume, b.turnover, b.vwap, b.trades, b.state, b.revision, b.reason, b.origin, b.updated_at, b.series,
       'raw'::text AS adjustment
FROM market.bars b WHERE b.interval = '1d'
UNION ALL
SELECT a.source, a.symbol, a.interval, a.start, (a.start AT TIME ZONE 'UTC')::date, a.open, a.high, a.low,
       a.close, a.volume, a.turnover, a.vwap, a.trades, a.state, a.revision, a.reason, a.origin, a.updated_at, a.series,
       a.adjustment
FROM market.bars_all a
WHERE a.interval = '1d' AND a.adjustment <> 'raw' AND NOT EXISTS (
    SELECT FROM market.bars_all r WHERE r.series = a.series AND r.interval = '1d' AND r.start = a.start
       AND r.adjustment = 'raw');

CREATE VIEW market.daily_trends AS
SELECT t.source, t.symbol, t.day, t.close, t."return", t.return_z, t.volatility, t.volatility_ratio, t.volume,
       t.volume_ratio, t.volume_z, t.momentum, t.headlines, t.sentiment, t.sentiment_z, t.topics, t.changes, t.tag,
       t.summary, t.rank, t.evidence, t.updated_at
FROM core.daily_trends t;

CREATE VIEW market.daily_calls AS
SELECT c.day, c.source, c.call, c.endpoint, c.symbols, c.state, c.reason, c.updated_at FROM core.daily_calls c;

CREATE VIEW market.payloads AS
SELECT p.id, p.source, p.endpoint, p.fetched_at, coalesce(r.outcome, 'waiting') AS outcome, r.news, r.bars,
       r.companies, r.actions, r.rejects, r.unknown, r.missing, r.updated_at
FROM raw.payloads p LEFT JOIN core.readings r ON r.payload = p.id;

CREATE VIEW market.payload_rejects AS
SELECT j.payload, p.source, p.endpoint, j.number, j.reason, j.record
FROM core.payload_rejects j JOIN raw.payloads p ON p.id = j.payload;

GRANT SELECT ON market.news, market.news_mentions, market.companies, market.company_history, market.corporate_actions,
    market.daily_prices, market.daily_trends, market.daily_calls, market.payloads, market.payload_rejects
    TO sparktrends_reader;

COMMENT ON VIEW market.news IS 'Stories, one row each however many ids the provider gave it, with their sentiment.';
COMMENT ON VIEW market.news_mentions IS 'Symbols that each story mentions, with the sentiment of what it says of them.';
COMMENT ON VIEW market.companies IS 'What each provider last said of the company behind a symbol.';
COMMENT ON VIEW market.company_history IS 'Days on which what a provider says of a company was new or had changed.';
COMMENT ON VIEW market.corporate_actions IS 'Splits and cash dividends on their ex-days.';
COMMENT ON VIEW market.daily_prices IS 'Bars of one day, of stocks and crypto.';
COMMENT ON VIEW market.daily_trends IS 'What happened to each symbol on each day, against its own history.';
COMMENT ON VIEW market.daily_calls IS 'The calls that the daily run made for each day, and what became of them.';
COMMENT ON VIEW market.payloads IS 'Every stored answer of a provider, and what the flatten job made of it.';
COMMENT ON VIEW market.payload_rejects IS 'Records of payloads that could not be used, with the reason.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('', 'source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('', 'symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('', 'updated_at', 'when the row last changed'),
            ('news', 'id', 'id of the story: the one under which it was first seen'),
            ('news_mentions', 'id', 'id of the story, as in market.news'),
            ('', 'published_at', 'when the story was published'),
            ('', 'headline', 'headline; text of strangers'),
            ('news', 'summary', 'summary; text of strangers, empty when there is none'),
            ('', 'url', 'address of the story; text of strangers'),
            ('', 'publisher', 'who published it, as the provider says'),
            ('', 'symbols', 'symbols that it is about'),
            ('', 'score', 'our sentiment, -1 (worst) to 1 (best); null until it is scored'),
            ('', 'label', 'our sentiment in a word: positive, negative or neutral'),
            ('', 'evidence', 'what made it: words and rules with their weights'),
            ('', 'topics', 'what the news is about: earnings, guidance, merger, regulation, lawsuit …'),
            ('', 'model', 'what scored it, with its version'),
            ('', 'provider_score', 'the provider''s own sentiment, -1 to 1; null where it has none'),
            ('', 'provider_label', 'the provider''s own sentiment in words; empty where it has none'),
            ('companies', 'day', 'day of the answer, UTC'),
            ('company_history', 'day', 'day on which this was first said, UTC'),
            ('corporate_actions', 'day', 'ex-day'),
            ('', 'name', 'name of the company'),
            ('', 'exchange', 'where it is listed'),
            ('', 'currency', 'currency of its money figures'),
            ('', 'sector', 'sector, in the provider''s words'),
            ('', 'industry', 'industry, in the provider''s words'),
            ('', 'country', 'country'),
            ('', 'shares', 'shares outstanding'),
            ('', 'market_cap', 'market capitalisation, in its currency'),
            ('', 'kind', 'split or dividend'),
            ('', 'value', 'new shares per old one, or cash per share'),
            ('daily_prices', 'interval', 'length of the bar: 1d'),
            ('daily_prices', 'start', 'beginning of the day, UTC'),
            ('', 'day', 'the day, UTC'),
            ('', 'open', 'first price of the day, in the quote currency'),
            ('', 'high', 'highest price, in the quote currency'),
            ('', 'low', 'lowest price, in the quote currency'),
            ('', 'close', 'last price of the day, in the quote currency'),
            ('daily_trends', 'volume', 'volume of the day, in units of the base asset'),
            ('', 'volume', 'sum of the sizes, in units of the base asset'),
            ('', 'turnover', 'sum of price times size, in the quote currency; null where unknown'),
            ('', 'vwap', 'turnover / volume; null where unknown'),
            ('', 'trades', 'number of trades; null where unknown'),
            ('daily_prices', 'state', 'forming, final or revised'),
            ('', 'revision', 'records accepted after the bar was final'),
            ('daily_prices', 'reason', 'why it is incomplete; null when it is not'),
            ('', 'origin', 'trades (our fold) or provider (a provider''s bar)'),
            ('', 'series', 'key of the series, as in market.series'),
            ('', 'adjustment', 'raw, or split: prices adjusted for splits'),
            ('', 'return', 'close / previous close - 1'),
            ('', 'return_z', '(return - mean of the history before) / its deviation'),
            ('', 'volatility', 'standard deviation of the last 20 daily log returns, not annualised'),
            ('', 'volatility_ratio', 'volatility / its mean over the history before'),
            ('', 'volume_ratio', 'volume / mean of the volumes before'),
            ('', 'volume_z', '(volume - mean of the volumes before) / their deviation'),
            ('', 'momentum', 'change of the close over 10 days, in percent'),
            ('', 'headlines', 'stories of the day that mention the symbol'),
            ('', 'sentiment', 'mean sentiment of these stories, -1 to 1; null without one'),
            ('', 'sentiment_z', '(sentiment - mean of the days before) / their deviation'),
            ('', 'changes', 'sudden changes of the day'),
            ('', 'tag', 'the day in a word'),
            ('daily_trends', 'summary', 'the day in a sentence'),
            ('', 'rank', 'place among the movers of the day, 1 = moved most'),
            ('', 'call', 'what was asked: a hash of the request'),
            ('', 'endpoint', 'the provider''s call'),
            ('daily_calls', 'state', 'done, refused (the plan lacks it) or failed (asked again by the next run)'),
            ('daily_calls', 'reason', 'why it was not done; null when it was'),
            ('payloads', 'id', 'id of the payload in raw.payloads'),
            ('', 'payload', 'id of the payload, as in market.payloads'),
            ('', 'fetched_at', 'when the provider answered'),
            ('', 'outcome', 'waiting, flattened, or the error that the answer was'),
            ('', 'news', 'stories in it'),
            ('', 'bars', 'bars in it'),
            ('', 'companies', 'company profiles in it'),
            ('', 'actions', 'splits and dividends in it'),
            ('', 'rejects', 'records in it that could not be used'),
            ('', 'unknown', 'fields that no reader knows, with how often they came'),
            ('', 'missing', 'fields that a reader expects, with how often they were absent'),
            ('', 'number', 'number of the record among the rejects of its payload, from 0'),
            ('payload_rejects', 'reason', 'why it could not be used'),
            ('', 'record', 'the record, up to its first 64 KiB')
        ) AS words(view, name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND (i.table_name = words.view OR words.view = '' AND i.table_name IN (
              'news', 'news_mentions', 'companies', 'company_history', 'corporate_actions', 'daily_prices',
              'daily_trends', 'daily_calls', 'payloads', 'payload_rejects'))
        ORDER BY words.view
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
