"""Kept replies that show a member or repeat what people wrote, so that erasing changes them too."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.loyalty.store.erasure import note_reply
from shared.db import Transaction

Result = TypeVar("Result")


async def noting(
    transaction: Transaction,
    work: Awaitable[Result],
    *,
    kept_under: tuple[str, str] | None,
    about: Callable[[Result], Sequence[str]],
) -> Result:
    """Do the work, and remember whom the reply that is kept of it is about; nobody if it is empty.

    A cancellation that came before its order is about the order, whose member is not known yet.
    """
    result = await work
    of_whom = about(result)
    if of_whom:
        await note_reply(transaction.session, member_ids=of_whom, kept_under=kept_under)
    return result
