-- Alerts of rules with `unless_market` wait a moment before they are sent: what a market does as one is one event.
ALTER TABLE core.alerts ADD COLUMN unless_market boolean NOT NULL DEFAULT false;
ALTER TABLE core.alerts ADD COLUMN inhibited_by text;
CREATE INDEX alerts_unless_market ON core.alerts (series, start) WHERE unless_market;
CREATE INDEX alerts_inhibited ON core.alerts (inhibited_by) WHERE inhibited_by IS NOT NULL;

CREATE OR REPLACE VIEW market.alerts AS
SELECT a.id, a.rule, s.source, s.symbol, a.interval, a.start, a.severity, a.title, a.channels, a.signals,
       a."values", a.status, a.silent, a.created_at, a.resolved_at, a.retracted_at, a.acknowledged_at,
       a.acknowledged_by,
       (SELECT min(d.sent_at) FROM core.deliveries d WHERE d.alert = a.id AND d.state = 'sent') AS first_sent_at,
       (SELECT string_agg(d.channel || ': ' || d.state, ', ' ORDER BY d.channel)
        FROM core.deliveries d WHERE d.alert = a.id) AS deliveries,
       a.correlation, a.ended, a.inhibited_by,
       ARRAY(SELECT i.id FROM core.alerts i WHERE i.inhibited_by = a.id ORDER BY i.id) AS inhibits
FROM core.alerts a LEFT JOIN core.series s ON s.id = a.series;

COMMENT ON COLUMN market.alerts.inhibited_by IS
    'id of the alert of a market that moved as one, told in its place (rules with unless_market); null when it is told itself';
COMMENT ON COLUMN market.alerts.inhibits IS
    'of a market that moved as one: ids of the alerts of single symbols that it was told in place of';
