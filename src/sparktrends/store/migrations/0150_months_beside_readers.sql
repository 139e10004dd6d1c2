-- A month is made beside those who read: CREATE TABLE … PARTITION OF takes the whole table for itself, so whoever had read
-- one table of bars and came to the next waited for the writer while the writer waited for him, again and again. To attach
-- a table disturbs neither readers nor writers of its parent.
CREATE OR REPLACE FUNCTION core.ensure_month(parent text, month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    child text := format('%s_%s', parent, to_char(month, 'YYYYMM'));
BEGIN
    IF to_regclass('core.' || quote_ident(child)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('core.ensure_month'));
    IF to_regclass('core.' || quote_ident(child)) IS NOT NULL THEN
        RETURN;  -- another writer made it meanwhile
    END IF;
    -- Keys and indexes are made when it is attached.
    EXECUTE format(
        'CREATE TABLE core.%I (LIKE core.%I INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS '
        'INCLUDING STORAGE INCLUDING COMPRESSION) WITH (fillfactor = 50)', child, parent);
    EXECUTE format(
        'ALTER TABLE core.%I ATTACH PARTITION core.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
        to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
END $$;
