"""What imported orders earn: points and growth under the programme in force as of the import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.loyalty.domain.imports import LineRefusal, OwnedLine, lasting, refused
from services.loyalty.domain.imports_orders import NewOrder, OrderLine
from services.loyalty.domain.ledger import Account, BalanceLimitReached, LedgerBroken
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.orders import Earning, earning_under
from services.loyalty.domain.points import earn_pending, release_due, schedule
from services.loyalty.domain.programme import expires_at, growth_window_start
from services.loyalty.domain.tiers import Standing, after_growth
from services.loyalty.operations.imports_members import note_points, unavailable
from services.loyalty.operations.points import stamp_of
from services.loyalty.operations.tiers import note_tier
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from shared.db import Transaction
from shared.jobs import leave_out
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class EarnedOrders:
    """Orders with what they earn, and those that cannot: it would be more than can be counted, or
    their member's books do not agree.
    """

    orders: Sequence[NewOrder]
    refusals: Sequence[LineRefusal]


async def earn_orders(
    transaction: Transaction,
    *,
    owned: Sequence[OwnedLine[OrderLine]],
    before: Mapping[str, LockedMember],
    import_id: str,
) -> EarnedOrders:
    """Credit what new orders earn, in the order of the file, and save the members' books.

    What counts is what was kept of each order, under the rules in force now and with the tier that
    the member stands in when its line comes. `before` are their members, locked, those apart whose
    books do not agree.
    """
    books = dict(before)
    orders, refusals = [], []
    for one in owned:
        member = books.get(one.member_id)
        if member is None:
            refusals.append(unavailable(one))
            continue
        order = _as_earned(one, member)
        try:
            books[member.id] = _credit(transaction, member, order)
        except BalanceLimitReached as limit:
            refusals.append(refused(one.line, limit.code, pointer="/paid_fen"))
        except LedgerBroken:
            leave_out(transaction, member.id)
            refusals.append(unavailable(one))
        else:
            orders.append(order)
    after = list(books.values())
    note_points(transaction, before=before, after=after, import_id=import_id)
    await save_members(transaction.session, after)
    return EarnedOrders(orders=orders, refusals=refusals)


def _as_earned(owned: OwnedLine[OrderLine], member: LockedMember) -> NewOrder:
    programme = member.programme
    multiplier = programme.tier(member.standing.tier_code).multiplier_percent
    return NewOrder(
        owned=owned,
        multiplier_percent=multiplier,
        earned=earning_under(
            programme,
            multiplier_percent=multiplier,
            paid_fen=owned.line.paid_fen,
            discount_fen=0,
            kept_fen=owned.line.kept_fen,
        ),
    )


def _credit(transaction: Transaction, member: LockedMember, order: NewOrder) -> LockedMember:
    """The member with the order's growth, and its points, as far as the hold goes."""
    line = order.owned.line
    cause = Cause(kind="order", id=line.order_id)
    account = earn_pending(
        member.account,
        lot_id=new_id("lot", at=transaction.now),
        points=order.earned.points,
        cause=cause,
        programme_version=member.programme.version,
        occurred_at=line.paid_at,
        stamp=stamp_of(transaction),
    )
    account = _scheduled(transaction, member, account, line=line, cause=cause)
    standing = _grown(transaction, member, earned=order.earned, line=line)
    account = release_due(account, stamp=stamp_of(transaction))
    after = member.with_account(account).with_standing(standing)
    note_tier(transaction, before=member, after=after, cause_kind=cause.kind, cause_id=cause.id)
    return after


def _scheduled(
    transaction: Transaction,
    member: LockedMember,
    account: Account,
    *,
    line: OrderLine,
    cause: Cause,
) -> Account:
    """Say when the points become available and lapse: counted from then, but with some time left.

    An order that the history does not call completed waits for its completion, as any other.
    """
    if line.completed_at is None:
        return account
    programme = member.programme
    available_at = line.completed_at + timedelta(days=programme.hold_days)
    expiry = expires_at(programme.expiry, available_at=available_at)
    return schedule(
        account,
        cause=cause,
        available_at=available_at,
        expires_at=lasting(expiry, now=transaction.now),
    )


def _grown(
    transaction: Transaction, member: LockedMember, *, earned: Earning, line: OrderLine
) -> Standing:
    """Growth counts from when the order was paid: what lies before the window moves nobody."""
    start = growth_window_start(member.programme, now=transaction.now)
    counts = start is None or line.paid_at >= start
    return after_growth(
        member.standing,
        growth=member.standing.growth + (earned.growth if counts else 0),
        programme=member.programme,
        now=transaction.now,
    )
