"""Rewards that referral asked for, and the members they go to."""

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.tables import Member, Reward
from shared.sql import execute

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")


async def find_reward(session: AsyncSession, *, reward_id: str) -> Reward | None:
    """The reward as far as it is known. Nobody else decides about it until commit.

    The lock is on the id, not on a row, as reward and reversal may both come first.
    """
    await execute(session, _LOCK, {"key": f"reward {reward_id}"})
    return await session.get(Reward, reward_id)


async def save_reward(session: AsyncSession, reward: Reward) -> None:
    """Remember a reward, whatever became of it. Written at once: its reversal may be next."""
    session.add(reward)
    await session.flush()


async def states_of_members(session: AsyncSession, *, member_ids: list[str]) -> dict[str, str]:
    """The states of those members that exist. They cannot be merged or erased until commit."""
    found = await session.exec(
        select(Member.id, Member.state)
        .where(col(Member.id).in_(member_ids))
        .order_by(col(Member.id))
        .with_for_update(read=True)
    )
    return dict(found.all())


async def surviving_member(session: AsyncSession, *, member_id: str) -> Member | None:
    """The member, or whom it was merged into, at last; None when there never was one."""
    seen: set[str] = set()
    wanted: str | None = member_id
    member: Member | None = None
    while wanted is not None and wanted not in seen:
        seen.add(wanted)
        found = await session.exec(
            select(Member).where(col(Member.id) == wanted).with_for_update(read=True)
        )
        member = found.one_or_none()
        wanted = member.merged_into if member is not None else None
    return member
