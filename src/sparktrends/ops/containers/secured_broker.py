"""A broker that other machines may reach: TLS on every door, SCRAM accounts, and nobody does what no ACL allows.

`docker-compose.prod.yml` and the test of encrypted servers run the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ADMIN = "admin"
"""The account that makes topics and ACLs, and by which brokers know each other."""
MECHANISM = "SCRAM-SHA-512"
_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule required"
_CONTROLLER = "CONTROLLER"


@dataclass(frozen=True, slots=True)
class SecuredBroker:
    """One node. ``doors`` are name → (``host:port`` it listens on, ``host:port`` it is called by), the first also
    for other brokers; ``controller`` the same pair. ``keys`` is a PEM file with its key and certificate, which must
    name every host it is called by; ``authority`` the PEM file of who signed it; ``subject`` the certificate's own.
    """

    doors: Mapping[str, tuple[str, str]]
    controller: tuple[str, str]
    keys: str
    authority: str
    subject: str
    admin_password: str = field(repr=False)

    def settings(self) -> dict[str, object]:
        """What it is told beside the settings of every broker of ours; holds the administrator's password."""
        first = next(iter(self.doors))
        protocols = {**dict.fromkeys(self.doors, "SASL_SSL"), _CONTROLLER: "SSL"}
        listeners = {**{name: listen for name, (listen, _) in self.doors.items()}, _CONTROLLER: self.controller[0]}
        return {
            "listeners": ",".join(f"{name}://{place}" for name, place in listeners.items()),
            "advertised.listeners": ",".join(f"{name}://{called}" for name, (_, called) in self.doors.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "inter.broker.listener.name": first,
            "controller.quorum.voters": f"1@{self.controller[1]}",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            **{self._login(name): f"{_MODULE};" for name in self.doors},
            self._login(first): f'{_MODULE} username="{ADMIN}" password="{self.admin_password}";',
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.keys,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority,
            # Accounts lie in what controllers agree on, so these know each other by certificates.
            f"listener.name.{_CONTROLLER.lower()}.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{ADMIN};User:{self.subject}",
        }

    def _login(self, door: str) -> str:
        return f"listener.name.{door.lower()}.{MECHANISM.lower()}.sasl.jaas.config"


def format_arguments(cluster_id: str, config: str, passwords: Mapping[str, str]) -> str:
    """A file for ``kafka-storage.sh @FILE``: it formats the log with these accounts, and no command line shows them."""
    accounts = [("--add-scram", f"{MECHANISM}=[name={name},password={secret}]") for name, secret in passwords.items()]
    words = ["format", "--ignore-formatted", "-t", cluster_id, "-c", config]
    return "\n".join([*words, *(word for account in accounts for word in account)]) + "\n"
