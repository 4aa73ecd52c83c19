"""Imports of order history: the lines of a batch, recorded once each."""

from collections.abc import Sequence

from services.loyalty.domain.imports import OwnedLine
from services.loyalty.domain.imports_orders import NewOrder, OrderLine, sort_out
from services.loyalty.operations.imports import Batch, Taken, count_batch
from services.loyalty.operations.imports_earning import earn_orders
from services.loyalty.operations.imports_members import find_owners
from services.loyalty.operations.imports_refunds import apply_waiting_refunds
from services.loyalty.store.imports import plan_afresh
from services.loyalty.store.imports_orders import add_orders, hold_orders, known_orders
from services.loyalty.store.tables import Import
from services.loyalty.store.vault import Vault
from shared.contracts.loyalty import ImportedOrder, OrdersImported
from shared.db import Transaction


async def take_orders(
    transaction: Transaction, *, upload: Import, batch: Batch[OrderLine], vault: Vault
) -> Import:
    """Take some lines: orders that are not on record yet, with members enrolled on the fly.

    Fifteen round trips at most, whatever the number of lines, with the transaction's own three,
    and four more when the orders earn; more only for orders whose refunds came before them.
    Raises ImportSuperseded and OwnersMoved.
    """
    session = transaction.session
    await plan_afresh(session)
    order_ids = [line.order_id for line in batch.lines]
    await hold_orders(session, order_ids=order_ids)
    owners = await find_owners(transaction, lines=batch.lines, upload=upload, vault=vault)
    known = await known_orders(session, order_ids=order_ids)
    lines = sort_out(owners.owned, known=known)
    refusals = [*batch.refusals, *owners.refusals, *lines.refusals]
    new = [NewOrder(owned=one) for one in lines.new]
    if new and upload.earn:
        earned = await earn_orders(transaction, owned=lines.new, import_id=upload.id)
        new = list(earned.orders)
        refusals += earned.refusals
    if new:
        await add_orders(session, new, import_id=upload.id, earn=upload.earn, now=transaction.now)
        event = _event(upload.id, [one.owned for one in new])
        transaction.record(event, subject=upload.id)
        taken_ids = sorted(one.owned.line.order_id for one in new)
        await apply_waiting_refunds(transaction, order_ids=taken_ids)
    taken = Taken(
        taken=len(new), repeated=lines.repeated, refusals=refusals, members=owners.enrolled
    )
    return await count_batch(transaction, upload=upload, batch=batch, taken=taken)


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
