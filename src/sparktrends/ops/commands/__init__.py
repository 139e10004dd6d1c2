"""The commands of `sparktrends`, a module for each kind."""
