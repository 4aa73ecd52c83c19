"""Members' referral codes."""

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.referral.store.tables import MemberFact, ReferralCode
from shared.sql import execute


async def find_code(session: AsyncSession, *, member_id: str, channel: str) -> str | None:
    """The code that a member has for a channel."""
    found = await session.exec(
        select(ReferralCode.code).where(
            col(ReferralCode.member_id) == member_id, col(ReferralCode.channel) == channel
        )
    )
    return found.one_or_none()


async def owner_of(session: AsyncSession, *, code: str) -> str | None:
    """The member who shares a code; None when nobody does."""
    found = await session.exec(select(ReferralCode.member_id).where(col(ReferralCode.code) == code))
    return found.one_or_none()


async def add_code(
    session: AsyncSession, *, code: str, member_id: str, channel: str, now: datetime
) -> bool:
    """Keep a code; False when it is taken or the member has one for the channel already."""
    added = await execute(
        session,
        insert(ReferralCode)
        .values(code=code, member_id=member_id, channel=channel, created_at=now)
        .on_conflict_do_nothing()
        .returning(col(ReferralCode.code)),
    )
    return added.one_or_none() is not None


async def remove_codes(session: AsyncSession, *, member_id: str) -> None:
    """Make a member's codes nobody's."""
    await execute(session, delete(ReferralCode).where(col(ReferralCode.member_id) == member_id))


async def is_known(session: AsyncSession, *, member_id: str) -> bool:
    """Whether we have heard that this member enrolled and is not erased, or they have a code."""
    enrolled = await session.exec(
        select(MemberFact.member_id).where(
            col(MemberFact.member_id) == member_id,
            col(MemberFact.enrolled_at).is_not(None),
            col(MemberFact.erased_at).is_(None),
        )
    )
    if enrolled.one_or_none() is not None:
        return True
    coded = await session.exec(
        select(ReferralCode.code).where(col(ReferralCode.member_id) == member_id).limit(1)
    )
    return coded.one_or_none() is not None
