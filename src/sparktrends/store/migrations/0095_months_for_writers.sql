-- Accounts that write bars make the months they need, and own no table: the function does it with its owner's rights,
-- for whoever was granted it (`sparktrends accounts`), and finds nothing but what it names.
ALTER FUNCTION core.ensure_month(text, date) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE EXECUTE ON FUNCTION core.ensure_month(text, date) FROM PUBLIC;
