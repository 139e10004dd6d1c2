"""The daily run: fetch → load → flatten → score → tag → report. Each part is a job that can be run again.

``fetch`` asks providers and publishes their answers untouched; ``load`` stores them as JSONB; ``flatten`` makes typed
rows of them with Spark; the rest works on rows. What a part has done is written down with what it made, so a second
run finds nothing to do, and a run that was killed is completed by the next one.
"""
