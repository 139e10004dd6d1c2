"""`sparktrends bench NAME`: each benchmark runs the real parts in a home of its own and prints one JSON line."""
