-- The role that people, BI tools and notebooks connect with: it reads `market` and nothing else.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sparktrends_reader') THEN
        CREATE ROLE sparktrends_reader LOGIN CONNECTION LIMIT 20;
    END IF;
END $$;
ALTER ROLE sparktrends_reader SET default_transaction_read_only = on;
ALTER ROLE sparktrends_reader SET statement_timeout = '30s';
ALTER ROLE sparktrends_reader SET search_path = market;
GRANT USAGE ON SCHEMA market TO sparktrends_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA market TO sparktrends_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA market GRANT SELECT ON TABLES TO sparktrends_reader;
