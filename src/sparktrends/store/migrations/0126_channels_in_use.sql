-- Which channels are set up, as the dispatcher says: an alert for '*' goes to each of them, and those who make alerts
-- need neither the settings nor the secrets of a channel.
ALTER TABLE core.channels ADD COLUMN in_use boolean NOT NULL DEFAULT true;
