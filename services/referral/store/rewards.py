"""Rewards: each generation a row, changed only under the lock of its referee."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.referral.domain import rewards as rules
from services.referral.domain.ids import derived_id
from services.referral.domain.programme import Programme, Role, StageName, promises
from services.referral.store.tables import Referral, Reward


async def history_of(session: AsyncSession, *, referral_id: str) -> Sequence[rules.Reward]:
    """All rewards of a referral, as the rules see them."""
    return [as_ruled(row) for row in (await by_referral(session, [referral_id]))[referral_id]]


async def by_referral(
    session: AsyncSession, referral_ids: Sequence[str]
) -> Mapping[str, Sequence[Reward]]:
    """The rewards of each of these referrals, by stage, role and generation."""
    found = await session.exec(
        select(Reward)
        .where(col(Reward.referral_id).in_(referral_ids))
        .order_by(
            col(Reward.stage), col(Reward.role).desc(), col(Reward.generation), col(Reward.id)
        )
    )
    rewards: defaultdict[str, list[Reward]] = defaultdict(list)
    for reward in found:
        rewards[reward.referral_id].append(reward)
    return rewards


async def referee_of(session: AsyncSession, *, reward_id: str) -> str | None:
    """Whose referral a reward belongs to: the member to be locked before it is read."""
    found = await session.exec(select(Reward.member_id).where(col(Reward.id) == reward_id))
    return found.one_or_none()


async def read(session: AsyncSession, *, reward_id: str) -> Reward:
    """A reward that is known to exist, as it stands now that its referee is locked."""
    found = await session.exec(
        select(Reward).where(col(Reward.id) == reward_id).execution_options(populate_existing=True)
    )
    return found.one()


async def save(session: AsyncSession, reward: Reward) -> None:
    """Write a reward, new or changed, at once: the next decision reads it."""
    session.add(reward)
    await session.flush()


async def row_for(
    session: AsyncSession,
    *,
    referral: Referral,
    change: rules.Reward,
    programme: Programme,
    now: datetime,
) -> Reward:
    """The row of the generation that a change is about, made if there is none yet, not saved."""
    found = await session.exec(
        select(Reward).where(
            col(Reward.referral_id) == referral.id,
            col(Reward.stage) == change.stage,
            col(Reward.role) == change.role,
            col(Reward.generation) == change.generation,
        )
    )
    return found.one_or_none() or _new(referral, change, programme=programme, now=now)


def role_of(row: Reward) -> Role:
    """For whom a reward is; the table checks that it is one of the two."""
    return cast("Role", row.role)


def voucher_state_of(row: Reward) -> rules.VoucherState | None:
    """What became of a reward's voucher; the table checks that it is one of its states."""
    return cast("rules.VoucherState | None", row.voucher_state)


def as_ruled(row: Reward) -> rules.Reward:
    """A row as the rules see it; the table checks that its words are theirs."""
    return rules.Reward(
        stage=cast("StageName", row.stage),
        role=role_of(row),
        generation=row.generation,
        state=cast("rules.RewardState", row.state),
        outcome=cast("rules.Outcome | None", row.outcome),
        voucher_id=row.voucher_id,
        reason=row.reason,
    )


def _new(
    referral: Referral, change: rules.Reward, *, programme: Programme, now: datetime
) -> Reward:
    amount_fen = next(
        promise.amount_fen
        for promise in promises(programme)
        if (promise.stage, promise.role) == (change.stage, change.role)
    )
    beneficiary_id = referral.referrer_id if change.role == "referrer" else referral.member_id
    assert beneficiary_id is not None, "a referral that is rewarded has a referrer"
    named = (referral.member_id, change.stage, change.role, str(change.generation))
    return Reward(
        id=derived_id("rwd", at=referral.enrolled_at, of=named),
        referral_id=referral.id,
        member_id=referral.member_id,
        stage=change.stage,
        role=change.role,
        generation=change.generation,
        beneficiary_id=beneficiary_id,
        amount_fen=amount_fen,
        threshold_fen=programme.voucher.threshold_fen,
        validity_days=programme.voucher.validity_days,
        state=change.state,
        created_at=now,
        updated_at=now,
    )
