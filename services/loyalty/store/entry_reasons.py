"""What people wrote about entries, beside the ledger so that it can be erased."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.lots import Cause
from shared.sql import execute

_ADD: Final = text(
    """
    insert into entry_reasons (cause_kind, cause_id, member_id, reason)
    select :kind, :id, member_id, :reason
    from unnest(cast(:member_ids as text[])) as given(member_id)
    """
)


async def add_reason(
    session: AsyncSession, *, cause: Cause, member_ids: Sequence[str], reason: str | None
) -> None:
    """Keep why the entries of a cause were wanted, for the statements of these members."""
    if reason is not None:
        given = {"kind": cause.kind, "id": cause.id, "member_ids": list(member_ids)}
        await execute(session, _ADD, {**given, "reason": reason})
