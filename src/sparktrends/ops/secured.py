"""How brokers and databases of other machines are entered: TLS, accounts, and no password that everybody knows."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.errors import BadSetting

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT")
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_LOCAL = ("localhost", "::1")
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
    """Whether a host name or address is this machine.

    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("10.0.0.1")
    (True, True, False)
    """
    return host.startswith("127.") or host in _LOCAL


def require_own_secret(host: str, name: str, secret: str, user: str) -> None:
    """Raises BadSetting for a well-known password at another machine; none at all may be right (a certificate)."""
    if secret and not is_local(host) and secret.lower() in _KNOWN_TO_ALL | {user.lower()}:
        what = f"{name} is a password that everybody knows, and {host} is another machine"
        raise BadSetting(what, hint="`openssl rand -hex 24` makes a good one")


def postgres(values: Mapping[str, str]) -> dict[str, str]:
    """libpq's options for TLS; empty when nothing is said."""
    mode, authority = values.get("POSTGRES_SSLMODE", ""), values.get("POSTGRES_SSLROOTCERT", "")
    if mode and mode not in SSLMODES:
        raise BadSetting(f"POSTGRES_SSLMODE = {mode!r}", hint=f"there are {', '.join(SSLMODES)}")
    if authority and not mode:
        mode = "verify-full"
    return {key: value for key, value in (("sslmode", mode), ("sslrootcert", authority)) if value}


def kafka(values: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's options for TLS and SASL; empty when nothing is said. A password asks for TLS off this machine."""
    protocol, user = values.get("KAFKA_SECURITY_PROTOCOL", ""), values.get("KAFKA_SASL_USERNAME", "")
    if protocol and protocol not in PROTOCOLS:
        raise BadSetting(f"KAFKA_SECURITY_PROTOCOL = {protocol!r}", hint=f"there are {', '.join(PROTOCOLS)}")
    if not protocol and user:
        protocol = "SASL_SSL"
    hosts = [address.rpartition(":")[0] for address in values.get("KAFKA_BOOTSTRAP", "").split(",")]
    if protocol == "SASL_PLAINTEXT" and not all(map(is_local, hosts)):
        raise BadSetting("SASL_PLAINTEXT would send a password's proof in the clear", hint="use SASL_SSL")
    found = {"security.protocol": protocol, "ssl.ca.location": values.get("KAFKA_SSL_CA", "")}
    if protocol.startswith("SASL"):
        secret = values.get("KAFKA_SASL_PASSWORD", "")
        if not secret:
            raise BadSetting("KAFKA_SASL_PASSWORD is not set")
        for host in hosts:
            require_own_secret(host, "KAFKA_SASL_PASSWORD", secret, user)
        mechanism = values.get("KAFKA_SASL_MECHANISM") or "SCRAM-SHA-512"
        found |= {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": secret}
    return {key: value for key, value in found.items() if value}
