"""What a merge takes over from one profile into the other, and how that is undone.

The target's own words win; gaps are filled. Of two answers about the same consent the later one
counts, whoever of the two gave it: it is one person, and a withdrawal works at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

FIELDS: Final = ("nickname", "birthday", "gender", "city", "phone_masked")


@dataclass(frozen=True, kw_only=True)
class ProfileFacts:
    """What is told about a member, as stored."""

    fields: Mapping[str, str | None]
    tags: Sequence[str]
    #: Name → `{"granted", "at"}`.
    consents: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What the target took over: fields, tags, and consents with what they were before."""

    fields: Sequence[str] = ()
    tags: Sequence[str] = ()
    consents: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)


def fill(target: ProfileFacts, source: ProfileFacts) -> tuple[ProfileFacts, Filled]:
    """The target's profile with its gaps filled, and what was filled."""
    gaps = [
        name for name in FIELDS if target.fields[name] is None and source.fields[name] is not None
    ]
    tags = [tag for tag in source.tags if tag not in target.tags]
    later = {
        name: given
        for name, given in source.consents.items()
        if name not in target.consents or target.consents[name]["at"] < given["at"]
    }
    filled = Filled(
        fields=gaps, tags=tags, consents={name: target.consents.get(name) for name in later}
    )
    merged = ProfileFacts(
        fields={**target.fields, **{name: source.fields[name] for name in gaps}},
        tags=[*target.tags, *tags],
        consents={**target.consents, **later},
    )
    return merged, filled


def empty_again(target: ProfileFacts, source: ProfileFacts, filled: Filled) -> ProfileFacts:
    """The target's profile without what was filled, unless it was changed since."""
    gone = [name for name in filled.fields if target.fields[name] == source.fields[name]]
    undone = {
        name: before
        for name, before in filled.consents.items()
        if target.consents.get(name) == source.consents.get(name)
    }
    kept = {name: given for name, given in target.consents.items() if name not in undone}
    back = {name: before for name, before in undone.items() if before is not None}
    return ProfileFacts(
        fields={**target.fields, **dict.fromkeys(gone)},
        tags=[tag for tag in target.tags if tag not in filled.tags],
        consents={**kept, **back},
    )
