"""Business days as callers write them: `2026-11-23`, in Asia/Shanghai."""

import re
from datetime import date
from typing import Annotated, Final

from fastapi import Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from shared.kernel.errors import InvalidField

_EARLIEST: Final = date(1990, 1, 1)
_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _business_day(given: object) -> object:
    """Only the full form: without it, pydantic reads a bare number as seconds since 1970."""
    if given is None or isinstance(given, date):
        return given
    try:
        if not isinstance(given, str) or not _FORM.fullmatch(given):
            raise ValueError
        day = date.fromisoformat(given)
    except ValueError:
        raise PydanticCustomError("date_parsing", "must be a date (YYYY-MM-DD)") from None
    if day < _EARLIEST:
        raise PydanticCustomError("day_too_early", "must not lie before 1990")
    return day


BusinessDay = Annotated[date, BeforeValidator(_business_day)]
AsOfQuery = Annotated[
    BusinessDay | None,
    Query(
        description="As of the end of this business day, exactly, from the orders of then; "
        "today or nothing: as it stands now",
        examples=["2026-11-22"],
    ),
]


def past_day(as_of: date | None, *, today: date) -> date | None:
    """The day asked for if it is a past one; None for the present.

    Raises InvalidField for a day that has not come.
    """
    if as_of is None or as_of == today:
        return None
    if as_of > today:
        raise InvalidField(pointer="?as_of", reason="day_in_future")
    return as_of
