-- Months that rows were put back into from an archive, this home's or another's: of such rows the log need know nothing.
CREATE TABLE core.restored (
    table_name text NOT NULL,
    interval text NOT NULL,
    month date NOT NULL,
    restored_at timestamptz NOT NULL,
    PRIMARY KEY (table_name, interval, month)
);
