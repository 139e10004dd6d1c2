"""How channels reach the room `net`: they may not import it, so they are handed this."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from sparktrends.alerts.channels import Answer, Post
from sparktrends.errors import BadRecord, UnknownOutcome
from sparktrends.net import AddressGuard, Http, Limits, Secret
from sparktrends.telemetry import Clock

_ANSWER = 64 * 1024  # bytes: what a webhook says fits in a line


def guarded_post(clock: Clock, guard: AddressGuard | None = None) -> Post:
    """A `Post` over `net.Http`: addresses are checked and pinned, redirects are answers, URLs stay out of errors.

    A configured host that is not public (a receiver on this machine) must be in ``guard.allowed``.
    """

    @cache
    def client(timeout_s: float) -> Http:
        limits = Limits(connect=min(5.0, timeout_s), read=timeout_s, total=timeout_s, body=_ANSWER)
        return Http(clock, guard, limits)

    def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        try:
            # The client writes JSON compactly, as the channels do: the signed bytes are the bytes on the wire.
            answer = client(timeout_s).post(Secret(url), json.loads(body), headers)
        except BadRecord as error:
            raise UnknownOutcome(f"the answer cannot be read ({error.reason})") from None
        return Answer(answer.status, answer.headers, answer.body)

    return post
