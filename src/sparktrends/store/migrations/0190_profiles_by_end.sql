-- A session is of the day on which it ends, as its news and its prices are: that of currencies begins on the evening before,
-- and Sydney's in summer. When the day was over, the profile of a session that had just begun was made.
CREATE TEMPORARY TABLE moved ON COMMIT DROP AS
SELECT *, ((closes - interval '1 microsecond') AT TIME ZONE 'UTC')::date AS ended FROM core.volume_profiles
WHERE day <> ((closes - interval '1 microsecond') AT TIME ZONE 'UTC')::date;
DELETE FROM core.volume_profiles p USING moved m WHERE p.series = m.series AND p.day = m.day;
INSERT INTO core.volume_profiles
SELECT series, ended, opens, closes, step, low, volumes, control, value_first, value_last, minutes, updated_at FROM moved
ON CONFLICT DO NOTHING;
DROP TABLE moved;

COMMENT ON COLUMN market.volume_profile.day IS 'day on which the session ended, UTC';
