"""From the log to committed bars: Spark reads, `fold` judges and folds what it read, `sink` commits it."""
