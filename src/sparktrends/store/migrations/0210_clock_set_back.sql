-- When a dispatcher last wrote down until when the channel rests: its clock cannot be before that, unless it was set back.
ALTER TABLE core.channels ADD COLUMN said_at timestamptz;
