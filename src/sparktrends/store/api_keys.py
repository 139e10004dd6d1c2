"""Keys of the API: 256 random bits each, kept as their SHA-256 only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import errors as pg

from sparktrends.errors import BadSetting, NotFound
from sparktrends.store.connect import Connection, translated

SCOPES = ("read", "admin")
_PREFIX = "st_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that may be used; ``digest`` is its SHA-256."""

    id: int
    name: str
    scopes: tuple[str, ...]
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What `keys list` shows."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def digest(key: str) -> bytes:
    """What is stored of a key. A plain hash is enough: nobody guesses 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def add_key(connection: Connection, name: str, scopes: Sequence[str]) -> str:
    """Make a key and return it: the only time that anybody sees it. Raises BadSetting for a name that exists."""
    key = _PREFIX + secrets.token_urlsafe(32)
    try:
        connection.execute(
            "INSERT INTO core.api_keys (name, scopes, sha256) VALUES (%s, %s, %s)", (name, list(scopes), digest(key))
        )
    except pg.UniqueViolation:
        raise BadSetting(f"a key named {name} exists", hint="choose another name, or revoke it first") from None
    return key


def revoke_key(connection: Connection, name: str) -> None:
    """End a key; its name may be used again. Raises NotFound."""
    with translated():
        done = connection.execute(
            "UPDATE core.api_keys SET revoked_at = now(), name = name || ' (revoked ' || id || ')' "
            "WHERE name = %s AND revoked_at IS NULL",
            (name,),
        )
    if not done.rowcount:
        raise NotFound(f"no key is named {name}", hint="`sparktrends keys list` names them")


def list_keys(connection: Connection) -> list[KeyRow]:
    """Every key, revoked ones too, oldest first."""
    with translated():
        found = connection.execute(
            "SELECT name, scopes, created_at, revoked_at FROM core.api_keys ORDER BY created_at, id"
        ).fetchall()
    return [KeyRow(name, tuple(scopes), created, revoked) for name, scopes, created, revoked in found]


def usable_keys(connection: Connection) -> list[ApiKey]:
    """The keys that may be used now."""
    with translated():
        found = connection.execute("SELECT id, name, scopes, sha256 FROM core.api_keys WHERE revoked_at IS NULL")
        return [ApiKey(number, name, tuple(scopes), bytes(hashed)) for number, name, scopes, hashed in found]
