-- An alert may end for another reason than its condition: its rule is no longer in the file, or watches other bars now.
ALTER TABLE core.alerts ADD COLUMN ended text;
CREATE INDEX alerts_lasting ON core.alerts (series) WHERE status = 'firing' AND series IS NOT NULL;

CREATE OR REPLACE VIEW market.alerts AS
SELECT a.id, a.rule, s.source, s.symbol, a.interval, a.start, a.severity, a.title, a.channels, a.signals,
       a."values", a.status, a.silent, a.created_at, a.resolved_at, a.retracted_at, a.acknowledged_at,
       a.acknowledged_by,
       (SELECT min(d.sent_at) FROM core.deliveries d WHERE d.alert = a.id AND d.state = 'sent') AS first_sent_at,
       (SELECT string_agg(d.channel || ': ' || d.state, ', ' ORDER BY d.channel)
        FROM core.deliveries d WHERE d.alert = a.id) AS deliveries,
       a.correlation, a.ended
FROM core.alerts a LEFT JOIN core.series s ON s.id = a.series;

COMMENT ON COLUMN market.alerts.ended IS
    'why it is over, where that is not the end of its condition: its rule was taken out of the file, or changed; else null';
COMMENT ON COLUMN market.alerts.resolved_at IS
    'end of the bar at which its condition no longer held, in event time; of a market that moved: end of the first calm minute; of the operation: when it was over; null while it lasts';
