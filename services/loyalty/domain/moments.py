"""Moments as callers tell them: how far their clocks may be ahead of ours."""

from datetime import datetime, timedelta
from typing import Final

from shared.kernel.errors import InvalidField

#: How far another machine's clock may be from ours.
CLOCK_SKEW: Final = timedelta(minutes=5)


def refuse_future(moment: datetime, *, now: datetime, pointer: str) -> None:
    """Raise InvalidField for what cannot have happened yet.

    A fact counts once and cannot be corrected: a hold that begins in 2062 would last until then.
    """
    if moment > now + CLOCK_SKEW:
        raise InvalidField(pointer=pointer, reason="moment_in_future")
