from __future__ import annotations

from librdkafka_broker import broker

__all__ = ["broker"]
