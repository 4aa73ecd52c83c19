"""What a service says of a moment that the sandbox's clock visits. ADR 0010."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a service did at a moment, and where that leaves it."""

    #: Pieces of due work, and events of others, that were worked off.
    done: int
    #: Whether it was stopped before it came to rest, and must be asked again.
    more: bool
    #: The last position of its own log.
    head: int
    #: Facts of its own that have no position yet.
    unsequenced: int
    #: How far it has applied each producer's log.
    cursors: Mapping[str, int]
    #: The next moment of each job that has one; known only once it is at rest.
    due: Mapping[str, datetime]


def at_rest(visits: Mapping[str, Visit]) -> bool:
    """Whether nobody has anything left to do at this moment: not even to hear of somebody's news.

    A producer that takes no part in the visits has none.
    """
    if any(visit.more or visit.unsequenced for visit in visits.values()):
        return False
    return all(
        pos == visits[producer].head
        for visit in visits.values()
        for producer, pos in visit.cursors.items()
        if producer in visits
    )


def next_moment(
    visits: Mapping[str, Visit], *, ignoring: Collection[tuple[str, str]] = ()
) -> datetime | None:
    """The earliest moment at which a job falls due, by (service, job) not among those ignored."""
    return min(_moments(visits, ignoring), default=None)


def due_at(visits: Mapping[str, Visit], *, at: datetime) -> frozenset[tuple[str, str]]:
    """The jobs, by service and name, that named this very moment."""
    return frozenset(
        (service, job)
        for service, visit in visits.items()
        for job, due in visit.due.items()
        if due == at
    )


def _moments(
    visits: Mapping[str, Visit], ignoring: Collection[tuple[str, str]]
) -> Iterable[datetime]:
    for service, visit in visits.items():
        for job, due in visit.due.items():
            if (service, job) not in ignoring:
                yield due
