"""Slack, by an incoming webhook, with Block Kit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from sparktrends.alerts.channels.answers import accept, check_address, compact
from sparktrends.alerts.channels.base import TIMEOUT_S, Channel, Item, Message, Tools, headline, settings

_SIGNS = {"info": "ℹ️", "warning": "⚠️", "critical": "🚨"}
# Slack's limits: 50 blocks a message, 3,000 characters a section. Three texts of this length and a foot fit.
_BLOCKS = 40
_LONG = 800
# Beyond so many alerts a message is lists: 600 alerts, two by two under a headline, still fit into 48 sections.
_SECTION, _LINE, _HEADLINE = 3_000, 150, 100
# A zero-width space breaks mentions and formatting, and bare addresses, which Slack would turn into links and fetch.
_HARMLESS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{sign: f"\u200b{sign}\u200b" for sign in "@*_~`"}}


class Slack(Channel):
    """One block an alert: what, by how much, against what, when, id, link; plain text for notifications. More than
    fit into blocks are listed by rule and bar: 500 symbols that cross at once are one message.

    Nothing in a headline or symbol can mention anybody or become a link: ``& < >`` are
    escaped, ``@`` and ``://`` are broken.

    >>> escape("<!channel> @here & *all*")
    '&lt;!channel&gt; \\u200b@\\u200bhere &amp; \\u200b*\\u200ball\\u200b*\\u200b'
    """

    kind = "slack"
    transport = "http"
    example: ClassVar[Mapping[str, str]] = {"url": "http://{host}:{port}/services/{secret}"}

    def __init__(self, name: str, url: str, tools: Tools) -> None:
        super().__init__(name)
        self._url = url
        self._tools = tools

    @classmethod
    def create(cls, name: str, block: Mapping[str, str], tools: Tools) -> Self:
        """Settings: ``url``, the incoming webhook (``SLACK_WEBHOOK``)."""
        settings(name, block, ("url",))
        return cls(name, check_address(name, block["url"]), tools)

    def send(self, message: Message) -> None:
        """Post it."""
        body = compact(payload(message))
        accept(self.name, self._tools.post(self._url, body, {"Content-Type": "application/json"}, TIMEOUT_S))


def payload(message: Message) -> dict[str, Any]:
    """The JSON that Slack gets."""
    if len(message.items) <= _BLOCKS:
        blocks = [block for item in message.items for block in _blocks(item, alone=len(message.items) == 1)]
    else:
        blocks = list(map(_section, _packed(line for event in message.events for line in _lines(event))))
    if len(message.items) > 1:
        title = f"{_SIGNS.get(message.severity, '')} {len(message.items)} alerts"
        blocks.insert(0, {"type": "header", "text": {"type": "plain_text", "text": title}})
    text = escape(message.subject, _LONG)
    return {"text": text, "unfurl_links": False, "unfurl_media": False, "blocks": blocks}


def escape(text: str, limit: int = _LONG) -> str:
    """Text that Slack shows and never obeys, cut so that the escaped form has at most ``limit`` characters."""
    parts: list[str] = []
    for sign in text.replace("://", ":\u200b//"):
        harmless = _HARMLESS.get(sign, sign)
        limit -= len(harmless)
        if limit < 1:
            return "".join((*parts, "…"))
        parts.append(harmless)
    return "".join(parts)


def _blocks(item: Item, *, alone: bool) -> list[dict[str, Any]]:
    lines = [f"{_SIGNS.get(item.severity, '')} *{escape(item.what)}*", escape(item.figures)]
    link = f" · <{_address(item.link)}|open>" if item.link else ""
    foot = f"{escape(item.about)} · id `{item.alert}`{link}"
    if not alone:
        return [_section("\n".join(line for line in (*lines, foot) if line))]
    context = {"type": "context", "elements": [{"type": "mrkdwn", "text": foot, "verbatim": True}]}
    return [_section("\n".join(line for line in lines if line)), context]


def _lines(event: Sequence[Item]) -> Iterator[str]:
    first = event[0]
    if len(event) > 1:
        yield f"{_SIGNS.get(first.severity, '')} *{escape(headline(event), _HEADLINE)}* · {first.when}"
    for item in event:
        words = item.entry.removesuffix(f" · id {item.alert}")
        yield f"• {escape(words, _LINE - len(item.alert) - 6)} `{item.alert}`"


def _packed(lines: Iterable[str]) -> list[str]:
    """Lines in as few texts as hold them."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + 1 + len(line) <= _SECTION:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _section(text: str) -> dict[str, Any]:
    # verbatim: else Slack makes links of bare addresses and names of channels by itself.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _address(link: str) -> str:
    """Our own link, with what could end it made harmless."""
    return link.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
