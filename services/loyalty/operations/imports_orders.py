"""Imports of order history: the lines of a batch, recorded once each."""

from collections.abc import Collection, Mapping, Sequence

from services.loyalty.domain.imports import LineRefusal, OwnedLine
from services.loyalty.domain.imports_orders import NewOrder, OrderLine, sort_out, untimely
from services.loyalty.operations.imports import Batch, Taken, count_batch
from services.loyalty.operations.imports_earning import earn_orders
from services.loyalty.operations.imports_members import find_owners, lock_owners, still_theirs
from services.loyalty.operations.imports_refunds import apply_waiting_refunds
from services.loyalty.store.accounts import LockedMember, lock_members
from services.loyalty.store.imports import plan_afresh
from services.loyalty.store.imports_orders import (
    add_orders,
    hold_orders,
    known_orders,
    orders_with_waiting_refunds,
)
from services.loyalty.store.rewards import states_of_members
from services.loyalty.store.tables import Import
from services.loyalty.store.vault import Vault
from shared.contracts.loyalty import ImportedOrder, OrdersImported
from shared.db import Transaction
from shared.jobs import apart


async def take_orders(
    transaction: Transaction, *, upload: Import, batch: Batch[OrderLine], vault: Vault
) -> Import:
    """Take some lines: orders that are not on record yet, with members enrolled on the fly.

    Sixteen round trips at most, whatever the number of lines, and the transaction's own three;
    three more when the orders earn, and more only for orders whose refunds came before them.
    Raises ImportSuperseded, BatchCounted and OwnersMoved.
    """
    session = transaction.session
    await plan_afresh(session)
    early = untimely(batch.lines, now=transaction.now)
    numbers = {one.line for one in early}
    timely = [line for line in batch.lines if line.line not in numbers]
    order_ids = [line.order_id for line in timely]
    await hold_orders(session, order_ids=order_ids)
    owners = await find_owners(transaction, lines=timely, upload=upload, vault=vault)
    lines = sort_out(owners.owned, known=await known_orders(session, order_ids=order_ids))
    awaited = await _awaited(transaction, lines.new)
    before = await _hold_members(transaction, lines.new, awaited=awaited, earn=upload.earn)
    await still_theirs(transaction, owners=owners, vault=vault)
    new, beyond = await _earned(transaction, lines.new, before=before, upload=upload)
    if new:
        await _record(transaction, new, awaited=awaited, upload=upload)
    taken = Taken(
        taken=len(new),
        repeated=lines.repeated,
        refusals=[*batch.refusals, *early, *owners.refusals, *lines.refusals, *beyond],
        members=len(owners.enrolled),
    )
    return await count_batch(transaction, upload=upload, batch=batch, taken=taken)


async def _awaited(
    transaction: Transaction, new: Sequence[OwnedLine[OrderLine]]
) -> Collection[str]:
    """The new orders that something waits for. Their ids are held, so no more will come."""
    order_ids = [one.line.order_id for one in new]
    if not order_ids:
        return ()
    return await orders_with_waiting_refunds(transaction.session, order_ids=order_ids)


async def _hold_members(
    transaction: Transaction,
    new: Sequence[OwnedLine[OrderLine]],
    *,
    awaited: Collection[str],
    earn: bool,
) -> Mapping[str, LockedMember]:
    """Keep the members of new orders from being merged, parted or erased until commit; those whose
    orders earn are told.

    Locks are taken in the order of everybody: orders' ids, accounts by id, members' rows by id.
    Accounts are locked where points may move; the other members can use theirs meanwhile.
    """
    members = sorted({one.member_id for one in new})
    if earn:
        return await lock_owners(transaction, member_ids=members)
    session, now = transaction.session, transaction.now
    waited = sorted({one.member_id for one in new if one.line.order_id in awaited})
    if waited:
        await lock_members(session, member_ids=waited, now=now, lots="due")
    if members:
        await states_of_members(session, member_ids=members)
    return {}


async def _earned(
    transaction: Transaction,
    new: Sequence[OwnedLine[OrderLine]],
    *,
    before: Mapping[str, LockedMember],
    upload: Import,
) -> tuple[Sequence[NewOrder], Sequence[LineRefusal]]:
    """The orders to record, with what they earn, if they do; and those that would earn too much."""
    if not new or not upload.earn:
        return [NewOrder(owned=one) for one in new], ()
    earned = await earn_orders(transaction, owned=new, before=before, import_id=upload.id)
    return earned.orders, earned.refusals


async def _record(
    transaction: Transaction,
    new: Sequence[NewOrder],
    *,
    awaited: Collection[str],
    upload: Import,
) -> None:
    """Add new orders and tell of them; then what waited for them counts."""
    await add_orders(
        transaction.session, new, import_id=upload.id, earn=upload.earn, now=transaction.now
    )
    transaction.record(_event(upload.id, [one.owned for one in new]), subject=upload.id)
    reached = sorted({one.owned.line.order_id for one in new}.intersection(awaited))

    async def apply(order_ids: Sequence[str]) -> int:
        await apply_waiting_refunds(transaction, order_ids=order_ids)
        return len(order_ids)

    # What cannot count for some member goes on waiting; the job tries it again.
    await apart(transaction, reached, apply)


def _event(import_id: str, new: Sequence[OwnedLine[OrderLine]]) -> OrdersImported:
    return OrdersImported(
        import_id=import_id,
        orders=[
            ImportedOrder(
                order_id=one.line.order_id,
                member_id=one.member_id,
                paid_fen=one.line.paid_fen,
                refunded_fen=one.line.refunded_fen,
                paid_at=one.line.paid_at,
            )
            for one in new
        ],
    )
