-- Where the score is explained.
COMMENT ON VIEW market.quality IS 'Score of each series and day, with the reasons that made it; see docs/howto/quality.md.';
