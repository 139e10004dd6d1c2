"""The door to Kafka: everything other rooms use, and nothing but bytes (`codec` gives them meaning).

connection = Connection("127.0.0.1:9094")
wait_ready(connection, 20)
Admin(connection).ensure()
producer = Producer(connection)
producer.send("raw.trades", "BTC/USD", b"{...}")
producer.flush()
"""

from __future__ import annotations

from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection, wait_ready
from sparktrends.bus.producer import Producer
from sparktrends.bus.reader import Reader, Record

__all__ = ["Admin", "Connection", "Producer", "Reader", "Record", "wait_ready"]
