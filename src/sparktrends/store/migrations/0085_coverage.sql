-- How much of the volume of a second source each source of a market has.
ALTER TABLE core.quality
    ADD COLUMN coverage double precision CHECK (coverage >= 0),
    ADD COLUMN against text;

CREATE OR REPLACE VIEW market.quality AS
SELECT q.day, s.source, s.symbol, q.score, q.minutes, q.points AS reasons, q.faulty, q.updated_at, q.series,
       q.coverage, q.against
FROM core.quality q JOIN core.series s ON s.id = q.series;

COMMENT ON COLUMN market.quality.coverage IS 'volume as a part of what the source in against has in the same minutes; null without one';
COMMENT ON COLUMN market.quality.against IS 'source and symbol of the largest volume that any other source has of this market';
