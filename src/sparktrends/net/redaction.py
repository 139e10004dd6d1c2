"""Secrets that cannot be printed, and a redactor that takes them out of every text that leaves the process."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import quote, quote_plus

MASK = "***"
_QUOTES = "'\""
_SHORTEST = 4  # a shorter value would mask half of every text

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # user:password@ of any URL, and the libpq keyword form of a password
        (r"(?<=://)[^/\s@'\"]+@", MASK + "@"),
        (r"\b(password|passwd|pwd|sslpassword)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"&,;)]+)", rf"\1\2{MASK}"),
        # the path of an incoming webhook is the secret itself
        (r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[^\s'\"<>|)]+", rf"\1{MASK}"),
        (r"(/api/webhooks/)[^\s'\"<>|)]+", rf"\1{MASK}"),
        (r"([?&](?:api_?key|token|access_token|key|crumb|secret|signature|sig)=)[^&\s'\"#<>]+", rf"\1{MASK}"),
        (r"\b(bearer|basic|apikey)\s+(?!parameter)[a-z0-9._~+/=-]{6,}", rf"\1 {MASK}"),
        (r"((?:x-finnhub-token|x-mbx-apikey|x-api-key|authorization|set-cookie|cookie)['\"]?\s*[:=]\s*['\"]?)"
         r"(?!(?:bearer|basic|apikey) \*)[^\s'\",}\]]+", rf"\1{MASK}"),
    )
)  # fmt: skip


class Secret:
    """A value that shows only through `reveal`: not in repr, str, format, a traceback's locals or a pickle.

    >>> key = Secret("abcd1234")
    >>> repr(key), f"{key}", key.wrap("Bearer {}").reveal()
    ("Secret('***')", '***', 'Bearer abcd1234')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: only where it goes onto the wire."""
        return self._value

    def wrap(self, template: str) -> Secret:
        """A secret of this one put for ``{}`` in the template."""
        return Secret(template.replace("{}", self._value))

    def fingerprint(self) -> str:
        """Twelve hex digits that tell two keys apart and do not lead back to either."""
        return hashlib.sha256(b"sparktrends key" + self._value.encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        # In constant time: where a comparison stops would tell how much of a guess was right.
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    # Pickles travel to Spark's workers.
    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled: hand it over by a setting")


class Redactor:
    """Takes known secrets and whatever looks like one out of a text; for `telemetry.configure_logging`.

    >>> Redactor([Secret("tiger-7")])("GET https://x.test/q?symbol=A&apikey=abc by tiger-7 with Bearer abcdef123")
    'GET https://x.test/q?symbol=A&apikey=*** by *** with Bearer ***'
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._values: list[str] = []
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} values)"

    def add(self, secret: Secret) -> None:
        """Know one more value, as it is and as it is written in a URL, in JSON, and in what Python shows of a text."""
        value = secret.reveal()
        if len(value) < _SHORTEST:
            return
        # With both kinds of quote behind it Python escapes those within, as it does where others stand around it.
        escaped = {text for show in (repr, ascii) for text in (show(value)[1:-1], show(value + _QUOTES)[1:-4])}
        dumped = {json.dumps(value, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
        told = {*self._values, value, quote(value, safe=""), quote_plus(value), *escaped, *dumped}
        self._values = sorted(told, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            # The longest first (they are kept sorted), so that no part of a key is left of it.
            text = text.replace(value, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text
