"""Extensions of lots: kept, and listed for whoever answers for them."""

from collections.abc import Sequence

from sqlalchemy import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.expiry_notices import ExtensionReason
from services.loyalty.store.tables import ExpiryExtension
from shared.sql import execute


async def add_extensions(session: AsyncSession, extensions: Sequence[ExpiryExtension]) -> None:
    """Put extensions on record, all in one statement."""
    if extensions:
        rows = [extension.model_dump() for extension in extensions]
        await execute(session, insert(ExpiryExtension), rows)


async def list_extensions(
    session: AsyncSession,
    *,
    member_id: str | None,
    reason: ExtensionReason | None,
    before: str | None,
    limit: int,
) -> Sequence[ExpiryExtension]:
    """Extensions, newest first, those older than `before`."""
    wanted = select(ExpiryExtension).order_by(col(ExpiryExtension.id).desc()).limit(limit)
    if member_id is not None:
        wanted = wanted.where(col(ExpiryExtension.member_id) == member_id)
    if reason is not None:
        wanted = wanted.where(col(ExpiryExtension.reason) == reason)
    if before is not None:
        wanted = wanted.where(col(ExpiryExtension.id) < before)
    return (await session.exec(wanted)).all()
