"""Redemptions: points spent at once. Hot, so decided in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Allocation, Cause
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.points import redeem, taken_by
from services.loyalty.operations.activity import note_activity, renewed
from services.loyalty.operations.points import lock_settled, settle, stamp_of
from services.loyalty.operations.stale import release_ran_out
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.readings import MemberReader
from services.loyalty.store.redemption_batches import NewRedemption, save_redemptions
from services.loyalty.store.redemptions import add_redemption
from shared.batches import NeedsOwnTransaction, Saving
from shared.contracts.loyalty import PointsRedeemed
from shared.db import Occasion, Transaction
from shared.kernel.ids import new_id
from shared.lanes import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class RedeemPoints:
    """Points to be spent, and on what."""

    member_id: str
    points: int
    purpose: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class Redeemed:
    """A redemption, the balances after it and the lots that paid."""

    redemption: NewRedemption
    balances: Balances
    lots: tuple[Allocation, ...]


@dataclass(kw_only=True)
class Redeeming:
    """The members of a batch as they are by now, and what was spent."""

    members: dict[str, LockedMember]
    changed: set[str] = field(default_factory=set)
    redemptions: list[NewRedemption] = field(default_factory=list)


class Redemptions:
    """The batch operation: two round trips and one commit for any number of redemptions."""

    def __init__(self, reader: MemberReader) -> None:
        self._reader = reader

    def subject(self, command: RedeemPoints) -> str:
        """The member who spends."""
        return command.member_id

    async def load(
        self,
        connection: Connection,
        commands: Sequence[RedeemPoints],
        *,
        now: datetime,
        careful: bool,
    ) -> Redeeming:
        """Read the members with the lots that will pay."""
        spending: dict[str, int] = {}
        for one in commands:
            spending[one.member_id] = spending.get(one.member_id, 0) + one.points
        members = await self._reader.read(connection, spending=spending, now=now, locked=careful)
        return Redeeming(members=members)

    def decide(self, state: Redeeming, command: RedeemPoints, occasion: Occasion) -> Redeemed:
        """Spend available points.

        Raises MemberNotFound, MemberMerged, InsufficientPoints, NeedsCare where lots past their
        day have to be settled first, and NeedsOwnTransaction where points would suffice together
        with those that are held: their time may be over.
        """
        found = state.members.get(command.member_id)
        if found is None:
            raise MemberNotFound
        member = settle(occasion, found.active())
        if _needs_held(member, command):
            raise NeedsOwnTransaction
        spent, redeemed = _spend(member, command, occasion)
        state.members[command.member_id] = renewed(spent, at=occasion.now, now=occasion.now)
        state.changed.add(command.member_id)
        state.redemptions.append(redeemed.redemption)
        return redeemed

    async def save(self, connection: Connection, state: Redeeming, saving: Saving) -> None:
        """Write what was spent, with its replies and events."""
        await save_redemptions(
            connection,
            members=[state.members[member_id] for member_id in sorted(state.changed)],
            redemptions=state.redemptions,
            saving=saving,
        )


async def redeem_points(transaction: Transaction, *, command: RedeemPoints) -> Redeemed:
    """The same in a transaction of its own, for what batches do not decide.

    Where the points do not suffice, what is held past its time is released first. Raises
    MemberNotFound, MemberMerged and InsufficientPoints.
    """
    member = await lock_settled(transaction, member_id=command.member_id, lots="open")
    member = member.active()
    if _needs_held(member, command):
        member = await release_ran_out(transaction, member)
    spent, redeemed = _spend(member, command, transaction)
    await save_members(transaction.session, [await note_activity(transaction, spent)])
    add_redemption(transaction.session, redeemed.redemption.row())
    return redeemed


def _needs_held(member: LockedMember, command: RedeemPoints) -> bool:
    """Whether there are enough points only together with those that are held."""
    balances = member.account.balances
    return balances.available < command.points <= balances.available + balances.held


def _spend(
    member: LockedMember, command: RedeemPoints, occasion: Occasion
) -> tuple[LockedMember, Redeemed]:
    redemption = NewRedemption(
        id=new_id("rdm", at=occasion.now),
        member_id=member.id,
        points=command.points,
        purpose=command.purpose,
        reference=command.reference,
        created_at=occasion.now,
    )
    cause = Cause(kind="redemption", id=redemption.id)
    account = redeem(
        member.account,
        points=command.points,
        cause=cause,
        programme_version=member.programme.version,
        stamp=stamp_of(occasion),
    )
    redeemed = PointsRedeemed(
        member_id=member.id,
        redemption_id=redemption.id,
        points=command.points,
        purpose=command.purpose,
    )
    occasion.record(redeemed, subject=member.id)
    lots = tuple(taken_by(account, cause=cause))
    told = Redeemed(redemption=redemption, balances=account.balances, lots=lots)
    return member.with_account(account), told
