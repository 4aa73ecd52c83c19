"""Refusals: what the business says no to, as nouns of the domain.

A refusal is an ordinary answer, not a fault: it changes nothing and tells the caller why.
Each is defined beside what raises it; shared.http.problems turns all of them into HTTP.
"""

from enum import Enum
from typing import ClassVar


class RefusalKind(Enum):
    """What sort of no it is. The value is the HTTP status that carries it."""

    malformed = 400
    unauthenticated = 401
    forbidden = 403
    not_found = 404
    conflict = 409
    gone = 410
    too_large = 413
    wrong_media_type = 415
    invalid = 422
    too_many = 429
    unavailable = 503
    too_slow = 504


class CannotStart(Exception):
    """What a process was given cannot be worked with; the words tell an operator what to change."""


class Refusal(Exception):
    """Base of all refusals.

    `code` is stable and machine-readable. The words come from the catalogue under that code, with
    `facts` filled in; facts are shown to the caller, so they hold no personal data.
    """

    code: ClassVar[str]
    kind: ClassVar[RefusalKind] = RefusalKind.conflict

    def __init__(self, **facts: str | int) -> None:
        super().__init__(self.code, facts)
        self.facts = facts


class NotFound(Refusal):
    """There is no such thing, or it is not the caller's to see."""

    code = "not_found"
    kind = RefusalKind.not_found


class InvalidField(Refusal):
    """One field's value cannot be, by itself; `pointer` is its JSON pointer."""

    code = "validation_failed"
    kind = RefusalKind.invalid

    def __init__(self, *, pointer: str, reason: str) -> None:
        super().__init__(pointer=pointer, reason=reason)
        self.pointer = pointer
        self.reason = reason
