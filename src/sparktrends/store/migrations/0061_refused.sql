-- What parsers of sources refused lies in quarantine beside what the stream refused; it knows which source sent it.
ALTER TABLE core.quarantine ADD COLUMN source text;
CREATE INDEX quarantine_by_appended ON core.quarantine (appended);

CREATE OR REPLACE VIEW market.quarantine AS
SELECT q.topic, q.partition, q.log_offset AS "offset", q.reason, core.at(q.appended) AS appended_at, q.size,
       q.payload, encode(q.sha256, 'hex') AS sha256, q.quarantined_at, q.source
FROM core.quarantine q;

COMMENT ON COLUMN market.quarantine.source IS 'the source whose payload it was; null for records of other topics';
