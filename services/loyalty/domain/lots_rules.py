"""Rules about lots near their end: when it is announced, and what if nobody was told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_MOST_DAYS: Final = 366
_NOTICE_DAYS: Final = 30
_LEAST_NOTICE_DAYS: Final = 14
_EXTENSION_DAYS: Final = 30


@dataclass(frozen=True, kw_only=True)
class LotsRules:
    """No silent expiry, in days. An extension always leaves room for a whole new notice."""

    #: A notice is made so long before points lapse.
    notice_days: int
    #: It must have been delivered so long before, or the points do not lapse.
    least_notice_days: int
    #: By how much they are then extended, at least; rounded up to the end of the month.
    extension_days: int


def read_lots_rules(given: Mapping[str, object]) -> LotsRules:
    """Read `points.expiry`; what is missing has its default. Raises ValueError."""
    notice = _days(given.get("notice_days", _NOTICE_DAYS))
    least = _days(given.get("least_notice_days", min(_LEAST_NOTICE_DAYS, notice)))
    extension = _days(given.get("extension_days", max(_EXTENSION_DAYS, notice)))
    if not least <= notice <= extension:
        raise ValueError("a notice must fit before the day, and a new one into an extension")
    return LotsRules(notice_days=notice, least_notice_days=least, extension_days=extension)


def _days(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MOST_DAYS:
        raise ValueError(f"{given!r} is not a number of days from 1 to {_MOST_DAYS}")
    return given
