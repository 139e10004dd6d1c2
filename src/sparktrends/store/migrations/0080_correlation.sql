-- An alert says under which id its making was logged: the same id stands in the logs of the stream and of the alerts.
CREATE OR REPLACE VIEW market.alerts AS
SELECT a.id, a.rule, s.source, s.symbol, a.interval, a.start, a.severity, a.title, a.channels, a.signals,
       a."values", a.status, a.silent, a.created_at, a.resolved_at, a.retracted_at, a.acknowledged_at,
       a.acknowledged_by,
       (SELECT min(d.sent_at) FROM core.deliveries d WHERE d.alert = a.id AND d.state = 'sent') AS first_sent_at,
       (SELECT string_agg(d.channel || ': ' || d.state, ', ' ORDER BY d.channel)
        FROM core.deliveries d WHERE d.alert = a.id) AS deliveries,
       a.correlation
FROM core.alerts a LEFT JOIN core.series s ON s.id = a.series;

COMMENT ON COLUMN market.alerts.correlation IS
    'id of the batch that made it, as in the logs of stream and alerts; null for conditions of the operation';
