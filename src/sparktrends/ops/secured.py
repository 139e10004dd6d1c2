"""How brokers and databases of other machines are entered: TLS, accounts, and no password that everybody knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sparktrends.errors import BadSetting

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT")
SCRAM = "scram-sha-256"
AUTHENTICATIONS = (SCRAM, "md5", "password", "none")
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# librdkafka's options that check a certificate, and the values with which they do; its own default stands first.
_CHECKED = {
    "enable.ssl.certificate.verification": ("true", "t", "1"),
    "ssl.endpoint.identification.algorithm": ("https",),
}
_WORDS = ("security.protocol", "sasl.mechanism", "sasl.mechanisms")
_OF_CLIENTS = re.compile(r"password|secret|token|key\.pem|jaas")
# The address of a channel is a secret too: whoever knows it may send.
_WITH_SECRETS = {"channels": re.compile(r"password|secret|token|key|url"), "kafka": _OF_CLIENTS, "spark": _OF_CLIENTS}
_LOCAL = re.compile(r"localhost|::1|127(\.\d{1,3}){1,3}|/.*")
_KNOWN_TO_ALL = frozenset(
    [
        "123456",
        "admin",
        "changeme",
        "change-me",
        "default",
        "example",
        "guest",
        "kafka",
        "market",
        "pass",
        "password",
        "pgadmin",
        "postgres",
        "reader",
        "root",
        "secret",
        "sparktrends",
        "sparktrends_reader",
        "test",
        "user",
    ]
)


def is_local(host: str) -> bool:
    """Whether a host name or address, a socket's folder or a list of such is this machine.

    >>> is_local("127.0.0.1"), is_local("localhost,/run/postgresql"), is_local("10.0.0.1"), is_local("127.0.0.1,db")
    (True, True, False, False)
    """
    return all(map(_LOCAL.fullmatch, host.split(",")))


def hosts_of(addresses: str) -> list[str]:
    """The host of each address in a list of brokers or of Spark's masters.

    >>> hosts_of("k1:9092,SSL://k2:9093"), hosts_of("spark://m1:7077,m2:7077")
    (['k1', 'k2'], ['m1', 'm2'])
    """
    return [address.rpartition("://")[2].rpartition(":")[0] for address in addresses.split(",")]


def require_own_secret(host: str, name: str, secret: str, user: str) -> None:
    """Raises BadSetting for a well-known password at another machine; none at all may be right (a certificate)."""
    if secret and not is_local(host) and secret.lower() in _KNOWN_TO_ALL | {user.lower()}:
        what = f"{name} is a password that everybody knows, and {host} is another machine"
        raise BadSetting(what, hint="`openssl rand -hex 24` makes a good one")


def postgres(values: Mapping[str, str]) -> dict[str, str]:
    """libpq's options for TLS, and for how a server may ask for the password; empty when nothing is said.

    Raises BadSetting for another machine without a word about TLS: libpq would take whatever answers there.
    """
    mode, authority = values.get("POSTGRES_SSLMODE", ""), values.get("POSTGRES_SSLROOTCERT", "")
    asked, host = values.get("POSTGRES_REQUIRE_AUTH", ""), values.get("POSTGRES_HOST", "")
    if mode and mode not in SSLMODES:
        raise BadSetting(f"POSTGRES_SSLMODE = {mode!r}", hint=f"there are {', '.join(SSLMODES)}")
    if asked and not set(asked.split(",")) <= set(AUTHENTICATIONS):
        raise BadSetting(f"POSTGRES_REQUIRE_AUTH = {asked!r}", hint=f"there are {', '.join(AUTHENTICATIONS)}")
    if authority and not mode:
        mode = "verify-full"
    if host and not is_local(host):
        _require_word_on_tls(host, mode, asked)
    found = {"sslmode": mode, "sslrootcert": authority, "require_auth": asked}
    return {key: value for key, value in found.items() if value}


def _require_word_on_tls(host: str, mode: str, asked: str) -> None:
    if not mode:
        hint = "POSTGRES_SSLMODE=verify-full with POSTGRES_SSLROOTCERT, or prefer where the network is yours alone"
        raise BadSetting(f"POSTGRES_SSLMODE is not set, and {host} is another machine", hint=hint)
    if "password" in asked.split(",") and mode not in ("verify-ca", "verify-full"):
        what = "POSTGRES_REQUIRE_AUTH=password would give the password to whoever answers"
        raise BadSetting(what, hint="set POSTGRES_SSLMODE=verify-full too")


def kafka(values: Mapping[str, str], own: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """librdkafka's options for TLS and SASL: the named settings, then ``own``, those of ``[kafka]``; empty when nothing
    is said. Whoever said it, a password asks for TLS and for a checked certificate off this machine."""
    found = _named(values) | dict(own)
    # In capitals, as librdkafka wants them: what comes after asks what they begin and end with.
    found |= {name: found[name].upper() for name in _WORDS if name in found}
    addresses = ",".join((values.get("KAFKA_BOOTSTRAP", ""), found.get("bootstrap.servers", ""))).strip(",")
    hosts = hosts_of(addresses)
    far = [host for host in hosts if not is_local(host)]
    protocol = found.get("security.protocol", "")
    if protocol and protocol not in PROTOCOLS:
        raise BadSetting(
            f"KAFKA_SECURITY_PROTOCOL (or [kafka]) = {protocol!r}", hint=f"there are {', '.join(PROTOCOLS)}"
        )
    if protocol == "SASL_PLAINTEXT" and far:
        raise BadSetting("SASL_PLAINTEXT would send a password's proof in the clear", hint="use SASL_SSL")
    if protocol.endswith("SSL") and far:
        _require_checked_certificate(found)
    if protocol.startswith("SASL"):
        _require_password(found, hosts)
    return found


def _named(values: Mapping[str, str]) -> dict[str, str]:
    protocol, user = values.get("KAFKA_SECURITY_PROTOCOL", "").upper(), values.get("KAFKA_SASL_USERNAME", "")
    authority = values.get("KAFKA_SSL_CA", "")
    if not protocol and user:
        protocol = "SASL_SSL"
    if authority and not (Path(authority).is_file() and os.access(authority, os.R_OK)):
        hint = "name the PEM file of the authority that signed the broker's certificate"
        raise BadSetting(f"KAFKA_SSL_CA = {authority!r} is no file that can be read", hint=hint)
    found = {"security.protocol": protocol, "ssl.ca.location": authority}
    if protocol.startswith("SASL"):
        mechanism, secret = values.get("KAFKA_SASL_MECHANISM") or "SCRAM-SHA-512", values.get("KAFKA_SASL_PASSWORD", "")
        found |= {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": secret}
    return {key: value for key, value in found.items() if value}


def _require_checked_certificate(found: Mapping[str, str]) -> None:
    for name, wanted in _CHECKED.items():
        if found.get(name, wanted[0]).lower() not in wanted:
            what = f"[kafka] {name} = {found[name]!r} would take any certificate, and the broker is another machine's"
            raise BadSetting(what, hint="leave it out, and name the authority with KAFKA_SSL_CA")


def _require_password(found: Mapping[str, str], hosts: Iterable[str]) -> None:
    mechanism = found.get("sasl.mechanisms", found.get("sasl.mechanism", ""))
    secret = found.get("sasl.password", "")
    # Others prove who they are by a ticket or a token.
    if not secret and mechanism.startswith(("SCRAM", "PLAIN")):
        raise BadSetting("KAFKA_SASL_PASSWORD is not set")
    for host in hosts:
        require_own_secret(host, "KAFKA_SASL_PASSWORD", secret, found.get("sasl.username", ""))


def secrets_in(tables: Mapping[str, Any]) -> list[str]:
    """What must never be printed of `sparktrends.toml`: addresses, passwords and shared secrets of channels, and those
    of the clients of Kafka and Spark."""
    return [value for name in _WITH_SECRETS for value in _secrets(tables.get(name), _WITH_SECRETS[name])]


def _secrets(block: Any, words: re.Pattern[str]) -> Iterator[str]:
    for key, value in block.items() if isinstance(block, dict) else ():
        if isinstance(value, dict):
            yield from _secrets(value, words)
        elif words.search(key.lower()) and str(value):
            yield str(value)
