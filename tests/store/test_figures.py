"""What the database says of the whole, on a database with something in it."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import pytest

from sparktrends.store.figures import figures, next_offsets
from sparktrends.store.sessions import Sessions
from sparktrends.telemetry import Figure

pytestmark = pytest.mark.e2e
FILL = """
INSERT INTO core.series (source, symbol) VALUES ('binance', 'BTC/USDT'), ('binance', 'ETH/USDT'), ('demo~sim', 'A');
INSERT INTO core.series_state (series, version, clock, updated_at)
SELECT id, 1, (extract(epoch FROM now() - id * interval '10 s') * 1000000)::bigint, now() - id * interval '1 s'
FROM core.series;
INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard, records, trades, late)
VALUES ('raw.trades', 0, 't', 0, 10, '1/1', 10, 9, 1), ('raw.trades', 1, 't', 0, 5, '1/1', 5, 5, 0);
INSERT INTO core.alerts (id, rule, start, severity, title, channels)
VALUES ('a', 'r', now(), 'critical', 't', '{slack}'), ('b', 'r', now(), 'warning', 't', '{slack}');
INSERT INTO core.deliveries (alert, channel, state, due_at, sent_at)
VALUES ('a', 'slack', 'due', now() - interval '90 s', NULL), ('b', 'slack', 'sent', now(), now() + interval '4 s'),
    ('b', 'email', 'dead', now(), NULL);
-- Told when it was over, which is no delay.
INSERT INTO core.deliveries (alert, channel, kind, state, sent_at)
VALUES ('b', 'slack', 'resolution', 'sent', now() + interval '40 min');
INSERT INTO core.alerts (id, rule, interval, start, severity, title, channels, silent) VALUES
    ('ended', 'r', '1m', now() - interval '70 s', 'info', 't', '{}', NULL),
    ('forming', 'r', '5m', now() - interval '70 s', 'info', 't', '{}', 'simulated'),
    ('fill', 'r', '1m', now() - interval '30 min', 'info', 't', '{}', 'fill'),
    ('past', 'r', '1m', '2013-11-25', 'info', 't', '{}', NULL);
INSERT INTO core.deliveries (alert, channel, state, sent_at)
SELECT id, CASE id WHEN 'ended' THEN 'webhook' ELSE 'console' END, 'sent', now() + interval '3 s'
FROM core.alerts WHERE id IN ('ended', 'forming', 'fill', 'past');
"""


@pytest.fixture
def found(database: str) -> Mapping[str, Figure]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FILL)
    sessions = Sessions(database, "test")
    made = {figure.name: figure for figure in sessions.read(figures)}
    assert sessions.read(next_offsets) == {("raw.trades", 0): 10, ("raw.trades", 1): 5}
    sessions.close()
    return made


def test_figures_tell_what_is_stored(found: Mapping[str, Figure]) -> None:
    assert found["series"].values == {("binance",): 2, ("demo~sim",): 1}
    assert found["source_clock_age_seconds"].values[("binance",)] == pytest.approx(155, abs=145)
    records = found["ledger_records"]
    assert (records.total, records.values[("trades",)], records.values[("late",)]) == (True, 14, 1)
    assert found["alerts_firing"].values == {("info",): 4, ("warning",): 1, ("critical",): 1}
    assert found["outbox_waiting"].values == {(): 1}
    assert found["outbox_age_seconds"].values[()] == pytest.approx(235, abs=145)
    assert found["alert_delay_seconds"].values[("slack",)] == pytest.approx(4, abs=1)
    assert found["deliveries_dead"].values == {("slack",): 0, ("email",): 1, ("webhook",): 0, ("console",): 0}
    # 10 s after the end of its minute it was committed, 3 s later sent; the other fired before its bar's end.
    assert found["event_to_alert_seconds"].values == {
        ("webhook",): pytest.approx(13, abs=0.1),
        ("console",): pytest.approx(3, abs=0.1),
    }
    assert found["database_bytes"].values[()] > 1e6
    assert all(isinstance(figure.family().samples, list) for figure in found.values())


def test_an_empty_database_has_figures_too(database: str) -> None:
    sessions = Sessions(database, "test")
    names = {figure.name for figure in sessions.read(figures)}
    sessions.close()
    assert "ledger_records" in names
    assert "commit_age_seconds" not in names
