"""Ids that occur twice in the log: a fault of whoever wrote it (law 2)."""

from __future__ import annotations

from array import array

import numpy as np

_PARTITION_BITS = 16


class Repeats:
    """Remembers 24 bytes an id: two hashes, together 128 bits, and where it was."""

    def __init__(self) -> None:
        self._one = array("q")
        self._two = array("q")
        self._places = array("Q")
        self._partitions: list[tuple[str, int]] = []
        self._current = 0

    def begin(self, topic: str, partition: int) -> None:
        """The records that follow are of this partition, from its beginning or from where it was left."""
        if (topic, partition) not in self._partitions:
            self._partitions.append((topic, partition))
        self._current = self._partitions.index((topic, partition))

    def add(self, source: str, symbol: str, id_: str, offset: int) -> None:
        """An id was seen; names hold no NUL, so that no two triples give one text."""
        # Python's hash is keyed anew in each process: nobody can write ids that collide on purpose.
        self._one.append(hash(f"{source}\0{symbol}\0{id_}"))
        self._two.append(hash((id_, symbol, source)))
        self._places.append(offset << _PARTITION_BITS | self._current)

    def found(self) -> list[tuple[str, int, int]]:
        """The places (topic, partition, offset) of the records that repeat an id of an earlier one, in order."""
        one = np.frombuffer(self._one, np.int64)
        ordered = np.sort(one)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        # Sorting whole pairs would cost thrice the memory: only what collides in the first half is looked at.
        suspects = np.flatnonzero(np.isin(one, twice)) if len(twice) else np.empty(0, np.int64)
        # Partition by partition, as repair counts, also where one was read in two parts.
        return [self._place(index) for index in self._later_ones(sorted(suspects.tolist(), key=self._place))]

    def _later_ones(self, suspects: list[int]) -> list[int]:
        seen: set[tuple[int, int]] = set()
        repeated = []
        for index in suspects:
            pair = (self._one[index], self._two[index])
            if pair in seen:
                repeated.append(index)
            seen.add(pair)
        return repeated

    def _place(self, index: int) -> tuple[str, int, int]:
        place = self._places[index]
        topic, partition = self._partitions[place & (1 << _PARTITION_BITS) - 1]
        return topic, partition, place >> _PARTITION_BITS
