-- How many of a bar's trades were fetched afterwards: what is made of them alone is nobody's alert (law 8).
ALTER TABLE core.bars ADD COLUMN fills bigint NOT NULL DEFAULT 0;
