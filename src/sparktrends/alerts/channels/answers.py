"""What the status of an HTTP answer means for a message: one table for every channel that posts."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from sparktrends.alerts.channels.base import Answer
from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, RateLimited, Unavailable, UnknownOutcome

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REASON = re.compile(rb"[a-z_]{2,40}")


def accept(name: str, answer: Answer) -> None:
    """Return when the message was accepted; else raise what the status means."""
    status, delay = answer.status, _retry_after(answer)
    said = f"channel {name}: answer {status}{_reason(answer.body)}"
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimited(said, delay=delay)
    if status == 504:
        raise UnknownOutcome(said)  # a gateway gave up waiting: what is behind it may have the message
    if status >= 500 or status == 408:
        raise Unavailable(said, delay=delay)
    if status in (401, 403):
        raise AccessDenied(said, hint="check its address and its rights on the other side")
    if status in (404, 410):
        raise NotFound(said, hint="the address no longer exists on the other side")
    if 300 <= status < 400:
        raise BadSetting(said, hint="redirects are not followed: set the final address")
    raise BadRecord("refused", said)


def compact(document: Any) -> bytes:
    """JSON in the one form that survives being read and written again; half a surrogate becomes a question mark."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def check_address(name: str, url: str) -> str:
    """An https address, or plain http to this machine; raises BadSetting without naming it.

    >>> check_address("hook", "https://example.com/x")
    'https://example.com/x'
    """
    try:
        parts = urlsplit(url.strip())
        local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    except ValueError:
        parts, local = urlsplit(""), False
    if not parts.hostname or not (parts.scheme == "https" or local) or parts.username or parts.password:
        raise BadSetting(f"channel {name}: url is not an address it may post to", hint="https://host/path, no user@")
    return url.strip()


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the other side asks for; a date instead of seconds counts as not said."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), 3600.0) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text) else None


def _reason(body: bytes) -> str:
    """A body that is one plain word (`invalid_blocks`) says why; anything else may repeat what we sent."""
    word = body[:64].strip()
    return f" {word.decode()}" if _REASON.fullmatch(word) else ""
