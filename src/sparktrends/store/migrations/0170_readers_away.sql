-- Changes are kept for a day for a reader that stays away; then it reads in the tables what was changed since `at`.
ALTER TABLE core.cursors ADD COLUMN at timestamptz NOT NULL DEFAULT timestamptz '1970-01-01 00:00:00+00';
UPDATE core.cursors k SET at = c.at FROM core.changes c WHERE c.shard = k.shard AND c.commit = k.commit;
COMMENT ON COLUMN core.cursors.at IS 'when the last commit was made that the reader has dealt with';
