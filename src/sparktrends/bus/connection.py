"""How every client here reaches the broker: address, security, quiet logs, and errors of our own tree."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, SparkTrendsError, Unavailable

Client = TypeVar("Client")
log = logging.getLogger(__name__)
_librdkafka = logging.getLogger(f"{__package__}.librdkafka")
_AGAIN_S = 30.0


class _Seldom(logging.Filter):
    """Lets the same words pass once in half a minute: a client tells each of its tries, dozens in a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # Ports, ages and counts make no other words.
        words, now = re.sub(r"\d+", "", record.getMessage()), record.created
        if now - self._said.get(words, -_AGAIN_S) < _AGAIN_S:
            return False
        self._said = {said: at for said, at in self._said.items() if now - at < _AGAIN_S} | {words: now}
        return True


for _one in (log, _librdkafka):
    _one.addFilter(_Seldom())
# Where nobody set up logging, as on a command line, what calls raise says enough.
_librdkafka.addHandler(logging.NullHandler())

_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_NO_ANSWER = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._AUTHENTICATION,
    KafkaError._RESOLVE,
    KafkaError._SSL,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
}
# Not _UNKNOWN_PARTITION: the client also says so of a partition that has no leader for a moment.
_UNKNOWN = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the broker is and how to be let in.

    ``security`` holds librdkafka options (``security.protocol``, ``sasl.*``, ``ssl.*``) and whatever else a
    deployment needs; it wins over ours. It never shows in a repr, because it may hold a password.
    """

    bootstrap: str
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def options(self, heard: Callable[[KafkaError], None] | None = None, **ours: Any) -> dict[str, Any]:
        """The configuration of one client; ``heard`` is told what its callbacks say, keywords use ``_`` for ``.``."""
        return {
            "bootstrap.servers": self.bootstrap,
            "reconnect.backoff.ms": 50,
            # A broker that restarts is found again within half a second instead of ten.
            "reconnect.backoff.max.ms": 500,
            # A new partition is known within half a minute; the client's own default is five.
            "topic.metadata.refresh.interval.ms": 30_000,
            # Brokers hang up on idle connections all day: that is no news.
            "log.connection.close": False,
            "error_cb": heard or _say,
            "logger": _librdkafka,
            **{name.replace("_", "."): value for name, value in ours.items()},
            # Last: what a person wrote in [kafka] wins.
            **self.security,
        }

    def java_options(self) -> dict[str, str]:
        """Address and security as the Java client inside Spark spells them; raises BadSetting for what it cannot."""
        found = {"bootstrap.servers": self.bootstrap, **{name: str(value) for name, value in self.security.items()}}
        mechanism = found.pop("sasl.mechanisms", found.pop("sasl.mechanism", ""))
        user, password = found.pop("sasl.username", ""), found.pop("sasl.password", "")
        if mechanism:
            found |= {"sasl.mechanism": mechanism, "sasl.jaas.config": _jaas(mechanism, user, password)}
        # Java reads PEM only when it is told that it is PEM.
        if authority := found.pop("ssl.ca.location", ""):
            found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": authority}
        # What librdkafka calls none is the empty word in Java, which refuses the other.
        if found.get(_NAMES_ARE_CHECKED) == "none":
            found[_NAMES_ARE_CHECKED] = ""
        if foreign := sorted(set(found) & _ONLY_LIBRDKAFKA):
            raise BadSetting(f"[kafka] {', '.join(foreign)}: Spark's client has no such option")
        return found


_NAMES_ARE_CHECKED = "ssl.endpoint.identification.algorithm"
_ONLY_LIBRDKAFKA = {"ssl.certificate.location", "ssl.key.location", "ssl.ca.pem", "enable.ssl.certificate.verification"}
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def _jaas(mechanism: str, user: str, password: str) -> str:
    if mechanism not in _MODULES:
        raise BadSetting(f"SASL mechanism {mechanism}", hint=f"there are {', '.join(_MODULES)}")
    # JAAS is a language of its own, and a password may hold any character.
    user, password = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (user, password))
    return f'{_MODULES[mechanism]} required username="{user}" password="{password}";'


def _say(error: KafkaError) -> None:
    # Loss of the broker is normal life for a client that waits; operators see it in `status`.
    log.info("Kafka client: %s", error.str())


class Refusals:
    """Remembers why a broker does not let a client in: calls only say that time is over, callbacks say the reason."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.reason: SparkTrendsError | None = None

    def __call__(self, error: KafkaError) -> None:
        """One word of librdkafka, whose codes say less than its sentences."""
        _say(error)
        where = self._connection.bootstrap
        if "SASL authentication error" in error.str():
            hint = "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
            self.reason = AccessDenied(f"the broker at {where} does not accept this account", hint=hint)
        elif "certificate verify failed" in error.str():
            # It does not say which of the two it is.
            hint = "KAFKA_SSL_CA names the file of its authority, KAFKA_BOOTSTRAP a host that stands in the certificate"
            self.reason = BadSetting(f"the certificate of the broker at {where} cannot be trusted", hint=hint)

    def translated(self, error: KafkaException, client: AdminClient | Consumer, doing: str) -> SparkTrendsError:
        """The reason when one was said since the last time, else what the call itself says."""
        # Callbacks are served only in a poll: without it the reason would come with the next call, if ever.
        client.poll(0)
        reason, self.reason = self.reason, None
        if error.args[0].code() not in _NO_ANSWER:
            return translated(error, doing)
        return reason or _silent(self._connection)

    def waited(self, future: Future[Any], client: AdminClient, seconds: float, doing: str) -> Any:
        """What an administrator's call comes to, within so many seconds; raises our errors."""
        try:
            return future.result(timeout=seconds)
        except KafkaException as error:
            raise self.translated(error, client, doing) from error
        except TimeoutError as error:
            raise Unavailable(f"Kafka gave no answer while {doing}") from error


def _silent(connection: Connection) -> Unavailable:
    # A broker that wants TLS closes the connection of who does not speak it, and says nothing.
    protocol = connection.security.get("security.protocol", "PLAINTEXT")
    hint = f"is it running? it is asked in {protocol}: KAFKA_SECURITY_PROTOCOL"
    return Unavailable(f"no Kafka broker answers at {connection.bootstrap}", hint=hint)


def translated(error: KafkaError | KafkaException, doing: str) -> SparkTrendsError:
    """Kafka's error as one of ours, with what was being done."""
    cause: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
    code, text = cause.code(), f"Kafka, {doing}: {cause.str() or cause.name()}"
    if code in _DENIED:
        return AccessDenied(text, hint="check the account and its rights at the broker")
    if code in _UNKNOWN:
        return NotFound(text, hint="`sparktrends topics --apply` makes the topics")
    if code == KafkaError.SECURITY_DISABLED:
        return BadSetting(text, hint="the broker has no authorizer, so everybody may do everything there")
    if code in _TOO_LARGE:
        return BadRecord("too_large", text)
    if code in (KafkaError._INVALID_ARG, KafkaError.INVALID_CONFIG):
        return BadSetting(text)
    return Unavailable(text)


def made(client: Callable[[dict[str, Any]], Client], options: dict[str, Any]) -> Client:
    """A client of librdkafka with these options; raises BadSetting for one that it does not take."""
    try:
        return client(options)
    except KafkaException as error:
        hint = "see the settings KAFKA_… and [kafka] in sparktrends.toml"
        raise BadSetting(f"Kafka's client cannot be made: {error.args[0].str()}", hint=hint) from error


def wait_ready(connection: Connection, deadline_s: float) -> None:
    """Return when the broker answers a metadata request; raises Unavailable after ``deadline_s`` seconds.

    A wrong account or certificate raises AccessDenied or BadSetting at once: waiting does not mend it.
    """
    refusals = Refusals(connection)
    admin = made(AdminClient, connection.options(refusals))
    end = time.monotonic() + deadline_s
    while True:
        try:
            # A second at a time: what the callbacks hear in between (a wrong account) ends the wait.
            admin.list_topics(timeout=max(0.1, min(1.0, end - time.monotonic())))
            return
        except KafkaException as error:
            admin.poll(0)
            if refusals.reason or time.monotonic() >= end:
                raise refusals.reason or _silent(connection) from error
