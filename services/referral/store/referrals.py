"""Referrals, and who brought whom."""

from collections.abc import Sequence
from datetime import date
from typing import Final, cast

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.referral.domain.referrals import Brought, Reason, ReferralFacts, ReferralState
from services.referral.store import facts as fact_store
from services.referral.store.tables import Referral
from shared.kernel.clock import BUSINESS_ZONE
from shared.sql import execute

_ATTRIBUTING: Final = 6_110_001
_LOCK = text("select pg_advisory_xact_lock(:key)")

# Only links that stand: a rejected referral made nobody anybody's referrer.
_UPLINE = text(
    """
    with recursive upline as (
      select referrer_id from referrals where member_id = :member_id and state <> 'rejected'
      union
      select above.referrer_id
      from upline join referrals above on above.member_id = upline.referrer_id
      where above.state <> 'rejected'
    )
    select referrer_id from upline
    """
)

_BROUGHT = text(
    """
    with brought as (
      select cast(enrolled_at at time zone :zone as date) as day
      from referrals
      where referrer_id = :referrer_id and state <> 'rejected' and not referrer_capped
    )
    select count(*) filter (where day = :day) as that_day, count(*) as that_month
    from brought
    where date_trunc('month', day) = date_trunc('month', cast(:day as date))
    """
).bindparams(zone=BUSINESS_ZONE.key)


async def lock_attributing(session: AsyncSession) -> None:
    """Be the only one to attribute newcomers until commit, so that loops and caps are seen."""
    await execute(session, _LOCK, {"key": _ATTRIBUTING})


async def upline_of(session: AsyncSession, *, member_id: str) -> Sequence[str]:
    """Who brought a member, who brought those, and so on."""
    return list((await execute(session, _UPLINE, {"member_id": member_id})).scalars())


async def brought_by(session: AsyncSession, *, referrer_id: str, day: date) -> Brought:
    """How many newcomers of a business day, and of its month, a referrer has been rewarded for."""
    found = await execute(session, _BROUGHT, {"referrer_id": referrer_id, "day": day})
    row = found.one()
    return Brought(that_day=row.that_day, that_month=row.that_month)


async def find_of_referee(session: AsyncSession, *, member_id: str) -> Referral | None:
    """The referral by which a member came, if by one."""
    found = await session.exec(select(Referral).where(col(Referral.member_id) == member_id))
    return found.one_or_none()


async def referees_among(session: AsyncSession, *, member_ids: Sequence[str]) -> Sequence[str]:
    """Which of these members came by a referral."""
    found = await session.exec(
        select(Referral.member_id)
        .where(col(Referral.member_id).in_(member_ids))
        .order_by(col(Referral.member_id))
    )
    return found.all()


async def facts_of(session: AsyncSession, *, referral: Referral) -> ReferralFacts:
    """All that decides what becomes of a referral. Its referee is locked by the caller."""
    return ReferralFacts(
        enrolled_at=referral.enrolled_at,
        refusal=cast("Reason | None", referral.refusal),
        referrer_capped=referral.referrer_capped,
        orders=await fact_store.orders_of(session, member_id=referral.member_id),
        refunds=await fact_store.refunds_of(session, member_id=referral.member_id),
    )


def state_of(referral: Referral) -> ReferralState:
    """The state of a row; the table checks that it is one."""
    return cast("ReferralState", referral.state)


async def save(session: AsyncSession, referral: Referral) -> None:
    """Write a referral, new or changed, at once: the next decision reads it."""
    session.add(referral)
    await session.flush()


async def find(session: AsyncSession, *, referral_id: str) -> Referral | None:
    """One referral."""
    found = await session.exec(select(Referral).where(col(Referral.id) == referral_id))
    return found.one_or_none()


async def list_referrals(
    session: AsyncSession,
    *,
    referrer_id: str | None,
    state: str | None,
    before: str | None,
    limit: int,
) -> Sequence[Referral]:
    """Referrals, those enrolled last first, of a referrer, in a state, before a place."""
    wanted = select(Referral).order_by(col(Referral.id).desc()).limit(limit)
    if referrer_id is not None:
        wanted = wanted.where(col(Referral.referrer_id) == referrer_id)
    if state is not None:
        wanted = wanted.where(col(Referral.state) == state)
    if before is not None:
        wanted = wanted.where(col(Referral.id) < before)
    return (await session.exec(wanted)).all()
