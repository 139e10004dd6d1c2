"""Topics at the broker: what is there, what to change, where they begin and end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # their package lacks __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from sparktrends.bus.connection import Connection, Refusals, made
from sparktrends.bus.topics import TABLE, AddPartitions, Change, Create, Existing, Topic, plan
from sparktrends.errors import NotFound, Unavailable

_BROKERS_DEFAULT = -1
_EXISTS = KafkaError.TOPIC_ALREADY_EXISTS


class Admin:
    """Changes and describes topics; every call waits at most ``timeout_s`` seconds and raises our own errors."""

    def __init__(self, connection: Connection, timeout_s: float = 15.0) -> None:
        self._refusals = Refusals(connection)
        self._client = made(AdminClient, connection.options(self._refusals))
        self._timeout = timeout_s

    def names(self) -> set[str]:
        """The topics at the broker, without its internal ones."""
        try:
            found = self._client.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise self._refusals.translated(error, self._client, "listing topics") from error
        # Kafka's own topics begin so.
        return {name for name in found if not name.startswith("__")}

    def existing(self, names: Iterable[str]) -> dict[str, Existing]:
        """Those of ``names`` that are there, with partitions and settings."""
        found = {name: self._existing(name) for name in sorted(set(names) & self.names())}
        return {name: existing for name, existing in found.items() if existing}

    def topic_id(self, name: str) -> uuid.UUID:
        """The id that the broker gave this topic; another one means another topic of the same name (law 7)."""
        found = self._describe([name])[name].topic_id
        low, high = found.get_least_significant_bits(), found.get_most_significant_bits()
        # The client gives two signed halves.
        return uuid.UUID(int=((high & (2**64 - 1)) << 64) | (low & (2**64 - 1)))

    def watermarks(self, name: str) -> dict[int, tuple[int, int]]:
        """Per partition: (first offset held, next offset to be written)."""
        places = [TopicPartition(name, p.id) for p in self._describe([name])[name].partitions]
        # The low end first: trimming moves it up, so asked last it could lie above a high end of before.
        low = self._ends(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        high = self._ends(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {partition: (low[partition], high[partition]) for partition in sorted(low)}

    def partitions(self, name: str) -> list[int]:
        """The numbers of its partitions."""
        return sorted(partition.id for partition in self._describe([name])[name].partitions)

    def apply(self, changes: Iterable[Change]) -> None:
        """Carry out a plan, in order; raises at the first change that the broker refuses."""
        for change in changes:
            if isinstance(change, Create):
                self.create(change.topic)
            elif isinstance(change, AddPartitions):
                futures = self._client.create_partitions([NewPartitions(change.name, change.total)])
                self._wait(futures[change.name], str(change))
            else:
                self._set(change.name, change.config)

    def ensure(self, topics: Iterable[Topic] = TABLE) -> list[Change]:
        """Bring the broker to the table and return what had to be changed; harmless to repeat, and for two at once."""
        wanted = tuple(topics)
        changes = self.plan(wanted)
        self.apply(changes)
        self._until(lambda: not self.plan(wanted), "bringing the topics to the table")
        return changes

    def plan(self, topics: Iterable[Topic] = TABLE) -> list[Change]:
        """What `ensure` would change."""
        wanted = tuple(topics)
        return plan(self.existing(t.name for t in wanted), wanted)

    def create(self, topic: Topic) -> None:
        """Make one topic and wait until the broker knows it; one that is there already is left as it is."""
        # How many copies there are is for the cluster to say: 1 on one node, as a rule 3 on more.
        new = NewTopic(topic.name, topic.partitions, _BROKERS_DEFAULT, config=topic.config)
        try:
            self._wait(self._client.create_topics([new])[topic.name], f"creating {topic.name}")
        except Unavailable as error:
            # Two processes may bring one broker to the table at once, and the second is as content as the first.
            if not isinstance(error.__cause__, KafkaException) or error.__cause__.args[0].code() != _EXISTS:
                raise
        self._until(lambda: topic.name in self.names(), f"creating {topic.name}")

    def delete_records(self, name: str, before: Mapping[int, int]) -> None:
        """Trim partitions: records below the offset given for each are gone."""
        places = [TopicPartition(name, partition, offset) for partition, offset in before.items()]
        for place, future in self._client.delete_records(places).items():
            self._wait(future, f"trimming {name}-{place.partition}")

    def _existing(self, name: str) -> Existing | None:
        """None when the broker that is asked does not know the topic yet, although another one does."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        try:
            partitions = len(self._describe([name])[name].partitions)
            configs = self._wait(self._client.describe_configs([resource])[resource], f"describing {name}")
        except NotFound:
            return None
        return Existing(partitions, {key: str(entry.value) for key, entry in configs.items()})

    def _describe(self, names: list[str]) -> dict[str, Any]:
        if not names:
            return {}
        futures = self._client.describe_topics(TopicCollection(names), request_timeout=self._timeout)
        return {name: self._wait(future, f"describing {name}") for name, future in futures.items()}

    def _ends(self, places: list[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
        futures = self._client.list_offsets(dict.fromkeys(places, spec), request_timeout=self._timeout)
        return {place.partition: self._wait(future, "asking for offsets").offset for place, future in futures.items()}

    def _set(self, name: str, config: Mapping[str, str]) -> None:
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in config.items()]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        # Incremental: the older call would put every setting that is not named back to its default.
        self._wait(self._client.incremental_alter_configs([resource])[resource], f"configuring {name}")

    def _until(self, done: Callable[[], bool], doing: str) -> None:
        # The controller says yes before the brokers' own picture of the topics has changed.
        end = time.monotonic() + self._timeout
        while not done():
            if time.monotonic() > end:
                raise Unavailable(f"Kafka did not finish {doing} within {self._timeout:g} s")
            time.sleep(0.02)

    def _wait(self, future: Future[Any], doing: str) -> Any:
        return self._refusals.waited(future, self._client, self._timeout, doing)
