"""Records in plain, odd and broken shapes, and the two roads they are sent along."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pytest

from sparktrends.bars import RAW_TRADES
from sparktrends.bars.record import MAX_BYTES
from sparktrends.model import Coordinates

NOW = 1_732_147_200_000_000
Record = tuple[bytes | None, Coordinates]

NUMBERS = [
    "0", "-0", "0.0", "1", "-1", "999999999", "1000000000", "0.000000001", "0.0000000001", "999999999.999999999",
    "1e3", "1E-9", "1e-18", "1e-19", "1e999999999", "1e-999999999", "99999999999999999999", "100000000000000000000",
    "1.50000000000000000000000", "123456789012345678.123456789012345678", "01", "1.", ".5", "+1", "1_0", "NaN",
    "Infinity", "-Infinity", "", " 1", "1 ", "٣", "0x10", "1" * 50, "0" * 400, "1." + "0" * 400,
]  # fmt: skip
TIMES = [
    "0", "-1", "-0", str(NOW), str(NOW + 59_999_999), str(NOW + 60_000_001), str(NOW - 900_000_000),
    str(NOW - 900_000_001), "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1" * 18,
    "9" * 18, "9" * 19, "9" * 5000, "1.0", "1e15", "true", "null", f'"{NOW}"', "01",
]  # fmt: skip
WORDS = [
    "null", "true", "false", "[]", "{}", "[ ]", "[1]", '["W"]', '["W","F"]', '"ok"', '"stale"', '"closed"', '"start"',
    '"throttled"', '"trade"', '"price"', '"heartbeat"', '"heartbeats"', '""', '" a"', '"a "', '"a b"', '"\\u0041"',
    '"\\ud800"', '"é"', '"a\x7fb"', '"\\u0000"', '"' + "x" * 64 + '"', '"' + "x" * 65 + '"', '"' + "x" * 129 + '"', "7",
    "-7.5e3",    '"binance"', '"slow"', '"tape"',
]  # fmt: skip
NAMES = ["source", "symbol", "ts", "price", "size", "id", "received", "kind", "fill", "status", "conditions"]
UNKNOWN = ["x", "onditions", "xxonditions", "a long unknown name", "", "Ts", "sizes"]


def plain(rng: random.Random, **changes: object) -> dict[str, object]:
    """The fields of a good record around NOW."""
    ts = NOW + rng.randrange(-130, 130) * 1_000_000 + rng.randrange(3)
    fields: dict[str, object] = {
        "source": rng.choice(["binance", "binance~sim", "slow"]),
        "symbol": rng.choice(["BTC/USD", "ETH/USD", "A"]),
        "ts": ts,
        "price": rng.choice(["97123.45", "0.000000001", "999999999.999999999", 5, 0.25]),
        "size": rng.choice(["0.0125", "0", 1, "999999999.999999999"]),
        "id": str(rng.randrange(10**6)),
        "received": ts + rng.choice([-1_000_000, 6_544, 5_000_000, 70_000_000, 900_000_001]),
    }
    return fields | changes


def literal(rng: random.Random, name: str) -> str:
    """JSON text, mostly odd, for one field."""
    pool = TIMES if name in ("ts", "received") else WORDS
    if name in ("price", "size"):
        number = rng.choice(NUMBERS)
        return rng.choice([number, f'"{number}"'])
    return rng.choice(pool if rng.random() < 0.9 else TIMES + WORDS)


def odd(rng: random.Random) -> bytes:
    """A record with some fields replaced, added, doubled or missing."""
    fields = [(name, json.dumps(value)) for name, value in plain(rng).items()]
    for _ in range(rng.randrange(3)):
        name = rng.choice(NAMES + UNKNOWN)
        fields = [pair for pair in fields if pair[0] != name or rng.random() < 0.1]
        fields.append((name, literal(rng, name)))
    if rng.random() < 0.1:
        fields.pop(rng.randrange(len(fields)))
    rng.shuffle(fields)
    comma, colon = rng.choice([(",", ":"), (", ", ": "), (" ,", "\t:")])
    return ("{" + comma.join(f'"{name}"{colon}{value}' for name, value in fields) + "}").encode()


def mutated(rng: random.Random) -> bytes:
    """A record with bits turned, bytes cut out, doubled or put in: mostly no longer JSON."""
    data = bytearray(odd(rng) if rng.random() < 0.5 else json.dumps(plain(rng)).encode())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 9)]
            case 2:
                data[at:at] = rng.choice(
                    [b'"', b"\\", b"{", b"}", b",", b":", b"\x00", b"0", b".", b"e9", b" ", b"\xff"]
                )
            case 3:
                del data[at:]
            case _:
                data[at:at] = data[at : at + rng.randrange(1, 30)]
        data = data or bytearray(b"{")
    return bytes(data)


def any_record(rng: random.Random) -> bytes | None:
    """One of every kind, in the proportions that reach most branches."""
    match rng.randrange(10):
        case 0 | 1:
            fields = plain(rng)
            return json.dumps(fields | {"fill": fields["id"] > "5"}, separators=(",", ":")).encode()
        case 2:
            status = rng.choice(["ok", "stale", "throttled", "closed", "start", "odd"])
            return json.dumps(plain(rng, kind="heartbeat", status=status)).encode()
        case 3 | 4 | 5:
            return odd(rng)
        case 6:
            return rng.choice([None, b"", b"{}", b"[]", b"null", b"\xef\xbb\xbf{}", b"[" * 99, b'"' * 9, b"\xff\xfe"])
        case _:
            return mutated(rng)


@dataclass(frozen=True)
class Maker:
    """What tests need to make records and batches of them."""

    now: int = NOW

    def records(self, seed: int, number: int, topic: str = RAW_TRADES) -> list[Record]:
        """Records of every kind over three partitions, offsets rising in each."""
        rng = random.Random(seed)
        return [(any_record(rng), self.place(rng, offset, topic)) for offset in range(number)]

    def place(self, rng: random.Random, offset: int, topic: str) -> Coordinates:
        appended = rng.choice([NOW, NOW + 150_000_000, NOW + 150_000_000, NOW + 10**9])
        return Coordinates(topic, rng.randrange(3), offset, appended)

    def trades(self, *changes: dict[str, object]) -> list[Record]:
        """One trade per set of changed fields, in partition 0."""
        base = {"source": "s", "symbol": "A", "ts": NOW, "price": "2", "size": "1"}
        return [
            (json.dumps(base | change).encode(), Coordinates(RAW_TRADES, 0, offset, NOW + 1_000_000))
            for offset, change in enumerate(changes)
        ]

    def batch(self, records: Sequence[Record]) -> pa.RecordBatch:
        """Records as Spark hands them over: the long ones cut, with size and hash of the whole."""
        places = [at for _, at in records]
        columns = {
            "topic": pa.array([at.topic for at in places], pa.string()),
            "partition": pa.array([at.partition for at in places], pa.int32()),
            "offset": pa.array([at.offset for at in places], pa.int64()),
            "timestamp": pa.array([at.appended for at in places], pa.timestamp("us", "UTC")),
            "value": pa.array([value and value[:MAX_BYTES] for value, _ in records], pa.binary()),
        }
        long = [value if value and len(value) > MAX_BYTES else None for value, _ in records]
        if any(long):
            columns["size"] = pa.array([value and len(value) for value in long], pa.int32())
            columns["sha256"] = pa.array([value and hashlib.sha256(value).digest() for value in long], pa.binary())
        return pa.RecordBatch.from_pydict(columns)


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker()


@pytest.fixture(scope="session")
def cut() -> Callable[[list[Record], random.Random], list[list[Record]]]:
    """Cuts a list into random runs."""

    def pieces(records: list[Record], rng: random.Random) -> list[list[Record]]:
        marks = sorted(rng.randrange(len(records) + 1) for _ in range(rng.randrange(6)))
        return [records[a:b] for a, b in zip([0, *marks], [*marks, len(records)], strict=True)]

    return pieces
