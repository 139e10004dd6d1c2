"""The composition root: the command line, the settings, and the embedded broker, database and Java."""
