"""Ingest: drives any source and publishes what it says, each (source, symbol, id) once.

`playback` drives recordings and the simulator; `publish` is the way to Kafka; `dedupe` the memory at the door.
"""
