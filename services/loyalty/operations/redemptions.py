"""Redemptions: points spent at once."""

from dataclasses import dataclass

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Allocation, Cause
from services.loyalty.domain.points import redeem, taken_by
from services.loyalty.operations.activity import note_activity
from services.loyalty.operations.points import lock_settled, stamp_of
from services.loyalty.store.books import save_members
from services.loyalty.store.redemptions import add_redemption
from services.loyalty.store.tables import Redemption
from shared.contracts.loyalty import PointsRedeemed
from shared.db import Transaction
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Redeemed:
    """A redemption, the balances after it and the lots that paid."""

    redemption: Redemption
    balances: Balances
    lots: tuple[Allocation, ...]


async def redeem_points(
    transaction: Transaction, *, member_id: str, points: int, purpose: str, reference: str
) -> Redeemed:
    """Spend available points. Raises MemberNotFound, MemberMerged and InsufficientPoints.

    Four statements; the door adds five round trips (begin, key, reply, events, commit).
    """
    member = (await lock_settled(transaction, member_id=member_id, lots="open")).active()
    redemption = Redemption(
        id=new_id("rdm", at=transaction.now),
        member_id=member_id,
        state="redeemed",
        points=points,
        purpose=purpose,
        reference=reference,
        created_at=transaction.now,
        closed_at=transaction.now,
    )
    cause = Cause(kind="redemption", id=redemption.id)
    account = redeem(
        member.account,
        points=points,
        cause=cause,
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
    )
    active = await note_activity(transaction, member.with_account(account))
    await save_members(transaction.session, [active])
    add_redemption(transaction.session, redemption)
    transaction.record(
        PointsRedeemed(
            member_id=member_id, redemption_id=redemption.id, points=points, purpose=purpose
        ),
        subject=member_id,
    )
    return Redeemed(
        redemption=redemption,
        balances=active.account.balances,
        lots=tuple(taken_by(account, cause=cause)),
    )
