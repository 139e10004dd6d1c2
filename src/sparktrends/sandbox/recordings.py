"""Recorded answers and frames from a file, which the twin gives in place of its own.

The file is JSON: ``[{"provider": "yahoo", "path": "/v8/finance/chart/AAPL", "query": {"interval": "1d"}, "status": 200,
"headers": {}, "body": …}, {"provider": "finnhub", "frames": ["…", …]}]``. An answer is given to a call with that path
and at least those parameters; frames are sent, as they are, to every socket of the provider when it is opened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparktrends.errors import BadFile
from sparktrends.sandbox.exchange import Answer, Call, Frame, told


@dataclass(frozen=True, slots=True)
class Recordings:
    """What was recorded, by provider."""

    answers: dict[str, list[tuple[str, dict[str, str], Answer]]] = field(default_factory=dict)
    frames: dict[str, list[Frame]] = field(default_factory=dict)

    def answer(self, provider: str, call: Call) -> Answer | None:
        """The first recorded answer to such a call; None when there is none."""
        for path, query, answer in self.answers.get(provider, ()):
            if path == call.path and query.items() <= call.query.items():
                return answer
        return None


def load(path: Path) -> Recordings:
    """Read a file of recordings; BadFile naming the entry that is none."""
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadFile(f"{path} cannot be read: {error}") from None
    found = Recordings()
    for number, row in enumerate(rows if isinstance(rows, list) else [None], start=1):
        try:
            _take(found, row)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise BadFile(f"{path}, recording {number} has neither an answer nor frames of a provider") from None
    return found


def _take(found: Recordings, row: dict[str, Any]) -> None:
    provider = str(row["provider"])
    if "frames" in row:
        found.frames.setdefault(provider, []).extend(Frame(str(text)) for text in row["frames"])
        return
    body, headers = row["body"], {str(k).lower(): str(v) for k, v in row.get("headers", {}).items()}
    status = int(row.get("status", 200))
    answer = Answer(status, body.encode(), headers) if isinstance(body, str) else told(body, status, headers)
    found.answers.setdefault(provider, []).append((str(row["path"]), dict(row.get("query", {})), answer))
