-- Run once by the image of PostgreSQL: the account that owns the tables is no superuser.
-- A statement that fails is logged whole unless told otherwise, and this one holds a password.
SET log_min_error_statement = panic;
\getenv owner SPARKTRENDS_USER
\getenv password SPARKTRENDS_PASSWORD
\getenv database SPARKTRENDS_DB
-- A database that is there, as `postgres` always is, is handed over.
SELECT format('CREATE ROLE %I', :'owner') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
-- Where the name is that of the superuser itself, this fails, and aloud.
ALTER ROLE :"owner" LOGIN CREATEROLE NOSUPERUSER PASSWORD :'password';
SELECT format($$CREATE DATABASE %I TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'$$, :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"owner";
