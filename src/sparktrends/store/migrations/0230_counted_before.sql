-- What was counted of a log that is another one now (`--accept-gap`): its bars, late trades and refused records are still here, so
-- what is told of the whole counts them on. The ledger's own counts begin anew, for the audit holds them against the log.
ALTER TABLE core.ledger
    ADD COLUMN trades_before bigint NOT NULL DEFAULT 0,
    ADD COLUMN prices_before bigint NOT NULL DEFAULT 0,
    ADD COLUMN heartbeats_before bigint NOT NULL DEFAULT 0,
    ADD COLUMN bars_before bigint NOT NULL DEFAULT 0,
    ADD COLUMN late_before bigint NOT NULL DEFAULT 0,
    ADD COLUMN quarantined_before bigint NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW market.progress AS
SELECT l.topic, l.partition, l.shard, l.next_offset,
       l.records + l.trades_before + l.prices_before + l.heartbeats_before + l.bars_before + l.late_before
           + l.quarantined_before AS records,
       l.trades + l.trades_before AS trades, l.prices + l.prices_before AS prices,
       l.heartbeats + l.heartbeats_before AS heartbeats, l.bars + l.bars_before AS bars, l.late + l.late_before AS late,
       l.quarantined + l.quarantined_before AS quarantined, l.appended_at, l.updated_at
FROM core.ledger l;
