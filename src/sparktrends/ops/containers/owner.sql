-- Run once by the image of PostgreSQL: the account that owns the tables is no superuser.
-- A statement that fails is logged whole unless told otherwise, and this one holds a password.
SET log_min_error_statement = panic;
\getenv owner SPARKTRENDS_USER
\getenv password SPARKTRENDS_PASSWORD
\getenv database SPARKTRENDS_DB
CREATE ROLE :"owner" LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C';
