-- Months that retention took out of a table and that are not back: what was made of their rows is not made anew without them.
CREATE TABLE core.archived (
    table_name text NOT NULL,
    interval text NOT NULL,
    month date NOT NULL,
    archived_at timestamptz NOT NULL,
    PRIMARY KEY (table_name, interval, month)
);
