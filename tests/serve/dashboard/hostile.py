"""Names and texts that strangers may send, and what must not become of them."""

from __future__ import annotations

from datetime import timedelta

from serve.api.world import START, World

SYMBOLS = (
    '<img src=x onerror="window.hurt=1">',
    "<script>window.hurt=1</script>",
    "[click](http://evil.example)",
    "**bold** :material/home: $x^2$ :red[r]",
    "![i](http://evil.example/p.png)",
)
"""Symbols: whoever writes to raw.trades chooses them."""


def add(world: World) -> None:
    """A series, a signal, an alert and a refused record for each hostile symbol."""
    for number, symbol in enumerate(SYMBOLS):
        ((key,),) = world.run("INSERT INTO core.series (source, symbol) VALUES ('evil', %s) RETURNING id", symbol)
        world.run("INSERT INTO core.series_state (series, version, clock) VALUES (%s, 1, 1)", key)
        world.run(
            "INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades,"
            " after_final, statuses, state, updated_at)"
            " SELECT %s, '1m', %s, 1, 2, 0.5, %s, 1, 1, 1, 1, 0, 0, 'final', now()",
            key,
            START + timedelta(minutes=29),
            1.5 + number / 10,
        )
        world.run(
            "INSERT INTO core.signals VALUES (%s, %s, '1m', %s, 'anomaly', %s, 'up', 6.5, 'warning',"
            " jsonb_build_object('measure', %s::text), now(), NULL)",
            f"evil{number}",
            key,
            START + timedelta(minutes=29),
            symbol,
            symbol,
        )
        world.run(
            "INSERT INTO core.alerts (id, rule, series, start, severity, title, channels) "
            "VALUES (%s, 'jump', %s, %s, 'warning', %s, '{console}')",
            f"evil{number}",
            key,
            START,
            symbol,
        )
        world.run(
            "INSERT INTO core.quarantine (topic, topic_id, partition, log_offset, reason, appended, size, sha256,"
            " payload) VALUES ('raw.trades', 't', 0, %s, 'not_json', 1, 9, '', %s)",
            number,
            symbol.encode(),
        )
