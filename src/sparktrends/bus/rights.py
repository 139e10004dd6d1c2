"""What accounts may do at a broker with an authorizer: what is allowed there, and allowing what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # their package lacks __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from sparktrends.bus.connection import Connection, Refusals, made

READ, WRITE, DESCRIBE = "READ", "WRITE", "DESCRIBE"
TOPIC, GROUP = "TOPIC", "GROUP"
_EVERYWHERE = "*"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """``user`` may do ``operation`` to the topic or group (``kind``) of that name, or of every name so beginning.

    >>> str(Right("stream", READ, TOPIC, "raw.trades"))
    'stream may READ the topic raw.trades'
    """

    user: str
    operation: str
    kind: str
    name: str
    prefix: bool = False

    def __str__(self) -> str:
        return f"{self.user} may {self.operation} the {self.kind.lower()} {self.name}{'*' if self.prefix else ''}"


class Rights:
    """Reads and adds rights, as an administrator; raises the errors of `bus.connection`, BadSetting without authorizer.

    It never takes one away: whoever gave another right had a reason, and hears of it.
    """

    def __init__(self, connection: Connection, timeout_s: float = 15.0) -> None:
        self._refusals = Refusals(connection)
        self._client = made(AdminClient, connection.options(self._refusals))
        self._timeout = timeout_s

    def existing(self, users: Iterable[str]) -> set[Right]:
        """What these users are allowed from anywhere."""
        wanted = set(users)
        found = self._wait(self._client.describe_acls(_ALL, request_timeout=self._timeout), "listing rights")
        return {right for right in map(_right, found) if right is not None and right.user in wanted}

    def allow(self, rights: Iterable[Right]) -> None:
        """Add rights; one that is there already stays as it is."""
        bindings = {_binding(right): right for right in rights}
        if bindings:
            for binding, future in self._client.create_acls(list(bindings), request_timeout=self._timeout).items():
                self._wait(future, f"allowing that {bindings[binding]}")

    def _wait(self, future: Future[Any], doing: str) -> Any:
        return self._refusals.waited(future, self._client, self._timeout, doing)


_ANY: Any = None
_ALL = AclBindingFilter(
    ResourceType.ANY, _ANY, ResourcePatternType.ANY, _ANY, _ANY, AclOperation.ANY, AclPermissionType.ANY
)


def _binding(right: Right) -> AclBinding:
    return AclBinding(
        ResourceType[right.kind],
        right.name,
        ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL,
        f"User:{right.user}",
        _EVERYWHERE,
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )


def _right(binding: AclBinding) -> Right | None:
    # A right from one host only, or a refusal, is not what the table of accounts means.
    if binding.permission_type is not AclPermissionType.ALLOW or binding.host != _EVERYWHERE:
        return None
    return Right(
        binding.principal.removeprefix("User:"),
        AclOperation(binding.operation).name,
        ResourceType(binding.restype).name,
        binding.name,
        binding.resource_pattern_type is ResourcePatternType.PREFIXED,
    )
