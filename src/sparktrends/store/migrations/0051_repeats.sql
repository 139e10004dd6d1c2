-- Records that repair left out of their bars because they repeat an id; the log keeps them, the audit knows of them.
CREATE TABLE core.repeats (
    topic text NOT NULL,
    topic_id text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    series integer NOT NULL REFERENCES core.series,
    removed_at timestamptz NOT NULL,
    PRIMARY KEY (topic, topic_id, partition, log_offset)
);
CREATE INDEX late_trades_unfolded ON core.late_trades (series, ts) WHERE folded_at IS NULL;
