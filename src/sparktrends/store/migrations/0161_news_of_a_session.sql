-- News that were published after a close, at a weekend or on a holiday belong to the session that follows.
COMMENT ON COLUMN market.daily_trends.headlines IS
    'stories about the symbol from the close before until the close of the day; of the UTC day where trading never ends';
