-- What the dispatcher needs of the outbox beyond 0003.

-- An operational condition (rule 'ops.…') names what it is about, and exists once while it lasts.
ALTER TABLE core.alerts ADD COLUMN subject text;
CREATE UNIQUE INDEX alerts_condition ON core.alerts (rule, subject) WHERE subject IS NOT NULL AND status = 'firing';
-- A cool-down looks for the neighbours of an alert in event time.
CREATE INDEX alerts_by_rule ON core.alerts (rule, series, start);

-- A reinstatement tells those who heard a retraction that a later revision made the alert true again.
ALTER TABLE core.deliveries DROP CONSTRAINT deliveries_kind_check;
ALTER TABLE core.deliveries ADD CONSTRAINT deliveries_kind_check
    CHECK (kind IN ('alert', 'retraction', 'reinstatement', 'resolution'));
-- `alone`: its message was refused as a whole, so it is tried by itself. `message`: the id of the message that held it.
ALTER TABLE core.deliveries ADD COLUMN alone boolean NOT NULL DEFAULT false;
ALTER TABLE core.deliveries ADD COLUMN message text;
DROP INDEX core.deliveries_due;
CREATE INDEX deliveries_open ON core.deliveries (channel, due_at) WHERE state IN ('due', 'leased');

-- The pace of a channel outlives its dispatcher: one message a second and Retry-After hold across restarts.
CREATE TABLE core.channels (
    channel text PRIMARY KEY,
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    failures integer NOT NULL DEFAULT 0
);
