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


HEADLINES = (
    *SYMBOLS,
    "<!channel> <@U123> *bold* _it_ `code`",
    "javascript:window.hurt=1",
    "<svg onload=window.hurt=1>",
    "{{7*7}} ${7*7} {% raw %}",
    "](http://evil.example) <a href='http://evil.example'>x</a>",
    "\u202egnp.exe \u200b zero",
    "| a | b |\n|---|---|\n",
    "http://evil.example/a www.evil.example evil@evil.example",
    "x" * 2000,
)
"""Headlines that try to be more than text."""


def add_news(world: World, count: int = 200) -> None:
    """So many hostile stories about the first series and a hostile symbol, and a hostile day."""
    for number in range(count):
        text = f"{HEADLINES[number % len(HEADLINES)]} {number}"
        world.run(
            "INSERT INTO core.news VALUES ('evil', %s, now() - %s * interval '1 minute', %s, %s, %s, %s, %s, NULL, '',"
            " %s, 'negative', jsonb_build_array(jsonb_build_object('word', %s::text, 'weight', -0.5)), ARRAY[%s],"
            " 'test', 1, now())",
            *(f"n{number}", number, text, text, text, text, text, (number % 21 - 10) / 10, text, text),
        )
        world.run(
            "INSERT INTO core.mentions SELECT 'evil', %s, unnest(ARRAY['BTC/USD', %s]), NULL, -0.5, 'negative'",
            f"n{number}",
            SYMBOLS[number % len(SYMBOLS)],
        )
    for number, text in enumerate(SYMBOLS):
        world.run(
            "INSERT INTO core.daily_trends (source, symbol, day, close, return, headlines, topics, changes, tag,"
            " summary, rank, evidence, updated_at) VALUES ('evil', %s, '2024-05-01', 1, 0.1, 3, ARRAY[%s], ARRAY[%s],"
            " %s, %s, %s, '{}', now())",
            *(text, text, text, text, text, number + 1),
        )
        world.run(
            "INSERT INTO core.companies SELECT 'evil', %s, '2024-05-01', %s, '', '', %s, '', '', 1, 1, 1, now()",
            *(text, text, text),
        )


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
