"""One call to a provider with whatever client is handed in: address, parameters, and the key where the provider
wants it. Nothing here opens a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sparktrends.sources.base import Reply, Request, Source


class Key(Protocol):
    """A key that does not show itself (`net.Secret`)."""

    def wrap(self, template: str) -> Any:
        """The key put for ``{}`` in the template."""


class Client(Protocol):
    """What makes the call (`net.Http`)."""

    def get(self, url: str, params: Mapping[str, Any], headers: Mapping[str, Any]) -> Any:
        """A response with ``status``, ``body``, ``received`` and ``headers``."""


def call(client: Client, source: Source, request: Request, key: Key | None) -> Reply:
    """Make the call; raises what the client raises."""
    params: dict[str, Any] = dict(request.params)
    headers: dict[str, Any] = {}
    auth = source.auth
    if auth and key:
        (params if auth.place == "query" else headers)[auth.name] = key.wrap(auth.template)
    said = client.get(source.rest + request.path, params, headers)
    return Reply(said.status, said.body, said.received, said.headers)
