-- Alerts of rules end: a revision looks for those that ended at the bars that it judges again.
CREATE INDEX alerts_by_end ON core.alerts (resolved_at) WHERE resolved_at IS NOT NULL;

COMMENT ON COLUMN market.alerts.status IS
    'firing while its condition holds, resolved when it ended, retracted when a later revision took it back';
COMMENT ON COLUMN market.alerts.resolved_at IS
    'end of the bar at which its condition no longer held, in event time; of the operation: when it was over; null while it lasts';
