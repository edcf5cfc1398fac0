"""
Split a projection by its keys into partitions, each with a checkpoint and an owner of its own.

A row belongs to the partition that a hash of its key names, for ever and on every
machine; each partition sees every event and takes the keys that are its own, in order.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any
from uuid import UUID
from zlib import crc32

from diptych.errors import BadProjection
from diptych.read.projections.projection import AnyProjection, TableProjection

Mine = Callable[[Iterable[Any]], tuple[Any, ...]]
KINDS = (str, int, UUID, date)  # those whose equal values are written alike
MOST = 64


def partition_of(key: Any, partitions: int) -> int:
    """The partition of a row."""
    return crc32(str(key).encode("utf-8", "surrogatepass")) % partitions


def keys_of(projection: AnyProjection, partition: int) -> Mine:
    """What takes the keys of one partition out of all that an event touches."""
    partitions = projection.partitions
    if partitions == 1:
        return tuple
    return lambda keys: tuple(key for key in keys if partition_of(key, partitions) == partition)


def check_partitions(projection: AnyProjection) -> None:
    """
    Insist that what is split can be split.

    Raises:
        BadProjection: Its rows are not each found by one key alone, or keys that are equal may be written differently.
    """
    name, partitions = type(projection).__name__, projection.partitions
    if type(partitions) is not int or not 1 <= partitions <= MOST:
        raise BadProjection(f"{name} has partitions = {partitions!r}: give a number from 1 to {MOST}")
    if partitions == 1:
        return
    if not isinstance(projection, TableProjection):
        raise BadProjection(
            f"{name} can't be split into {partitions} partitions: "
            "only a TableProjection finds each of its rows by the key alone"
        )
    key = projection.shape().key
    if key.kind not in KINDS:
        raise BadProjection(
            f"{name} can't be split into {partitions} partitions by its key {key.name!r}: keys that are equal "
            f"may be written differently, but for {', '.join(kind.__name__ for kind in KINDS)}"
        )
