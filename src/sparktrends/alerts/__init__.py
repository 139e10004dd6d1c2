"""From the outbox to people: the dispatcher, its channels, and alerts about our own operation."""
