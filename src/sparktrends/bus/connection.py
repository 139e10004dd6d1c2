"""How every client here reaches the broker: address, security, quiet logs, and errors of our own tree."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, SparkTrendsError, Unavailable

log = logging.getLogger(__name__)

_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_UNKNOWN = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the broker is and how to be let in.

    ``security`` holds librdkafka options (``security.protocol``, ``sasl.*``, ``ssl.*``) and whatever else a
    deployment needs; it wins over ours. It never shows in a repr, because it may hold a password.
    """

    bootstrap: str
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def options(self, **ours: Any) -> dict[str, Any]:
        """The configuration of one client; keywords use ``_`` for ``.``."""
        return {
            "bootstrap.servers": self.bootstrap,
            "reconnect.backoff.ms": 50,
            # A broker that restarts is found again within half a second instead of ten.
            "reconnect.backoff.max.ms": 500,
            # Twin metadata refreshes cost nothing here and find a new topic at once.
            "topic.metadata.refresh.interval.ms": 30_000,
            "log.connection.close": False,
            "error_cb": _say,
            "logger": logging.getLogger("sparktrends.bus.librdkafka"),
            **{name.replace("_", "."): value for name, value in ours.items()},
            **self.security,
        }

    def java_options(self) -> dict[str, str]:
        """Address and security as the Java client inside Spark spells them; raises BadSetting for what it cannot."""
        found = {"bootstrap.servers": self.bootstrap, **{name: str(value) for name, value in self.security.items()}}
        mechanism = found.pop("sasl.mechanisms", found.pop("sasl.mechanism", ""))
        user, password = found.pop("sasl.username", ""), found.pop("sasl.password", "")
        if mechanism:
            found |= {"sasl.mechanism": mechanism, "sasl.jaas.config": _jaas(mechanism, user, password)}
        if authority := found.pop("ssl.ca.location", ""):
            found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": authority}
        if foreign := sorted(set(found) & _ONLY_LIBRDKAFKA):
            raise BadSetting(f"[kafka] {', '.join(foreign)}: Spark's client has no such option")
        return found


_ONLY_LIBRDKAFKA = {"ssl.certificate.location", "ssl.key.location", "ssl.ca.pem", "enable.ssl.certificate.verification"}
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def _jaas(mechanism: str, user: str, password: str) -> str:
    if mechanism not in _MODULES:
        raise BadSetting(f"SASL mechanism {mechanism}", hint=f"there are {', '.join(_MODULES)}")
    user, password = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (user, password))
    return f'{_MODULES[mechanism]} required username="{user}" password="{password}";'


def _say(error: KafkaError) -> None:
    # Loss of the broker is normal life for a client that waits; operators see it in `status`.
    log.info("Kafka client: %s", error.str())


def translated(error: KafkaError | KafkaException, doing: str) -> SparkTrendsError:
    """Kafka's error as one of ours, with what was being done."""
    cause: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
    code, text = cause.code(), f"Kafka, {doing}: {cause.str() or cause.name()}"
    if code in _DENIED:
        return AccessDenied(text, hint="check the account and its rights at the broker")
    if code in _UNKNOWN:
        return NotFound(text, hint="`sparktrends topics --apply` makes the topics")
    if code in _TOO_LARGE:
        return BadRecord("too_large", text)
    if code in (KafkaError._INVALID_ARG, KafkaError.INVALID_CONFIG):
        return BadSetting(text)
    return Unavailable(text)


def wait_ready(connection: Connection, deadline_s: float) -> None:
    """Return when the broker answers a metadata request; raises Unavailable after ``deadline_s`` seconds."""
    admin = AdminClient(connection.options())
    end = time.monotonic() + deadline_s
    while True:
        try:
            admin.list_topics(timeout=max(0.1, min(1.0, end - time.monotonic())))
            return
        except KafkaException as error:
            if time.monotonic() >= end:
                hint = "is it running? its log says more"
                raise Unavailable(f"no Kafka broker answers at {connection.bootstrap}", hint=hint) from error
