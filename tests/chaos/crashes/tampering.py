"""What bugs would leave behind, put there by hand: the verdict has to name every one of it."""

from collections.abc import Sequence
from typing import Final

from tests.chaos.crashes.rig import CrashRig

#: What the verdict must say of it.
WORDS: Final = (
    "orders: acknowledged and lost",
    "redemptions: 1 happened twice",
    "redemptions: refused, and done nevertheless",
    "transfers: nobody asked for",
    "left its sender 0 times",
    "received is",
    "kept (",
    "sent again",
    "the auditor",
    "make verify",
    "positions are not 1..n without a hole",
    "subjects miss an event",
    "points redeemed",
    "1 events are parked",
    "orders: segmentation misses 0, made up 1",
    "refunds: segmentation misses 1",
)


async def tamper(rig: CrashRig) -> None:
    """Lose, double, make up and alter, a little of each."""
    journal = rig.journal
    lost, spent = journal.promised("order")[0], journal.promised("redeem")[0]
    given = journal.promised("transfer")[0].told["id"]
    refused = next(one for one in journal.of("redeem") if one.status == 409)
    await rig.loyalty.change(
        "grant update on point_entries to current_user",
        "alter table point_entries disable trigger user",
        f"delete from orders where order_id = '{lost.id}'",
        _copied(spent.told["id"], id="rdm_twice", reference=spent.id),
        _copied(spent.told["id"], id="rdm_refused", reference=refused.id),
        "insert into transfers"
        " (id, member_id, to_member_id, points, reason, created_by, created_at)"
        " values ('trf_made_up', 'mem_one', 'mem_other', 1, 'nobody asked', 'nobody', now())",
        "update point_entries set points = points + 1 where cause_kind = 'transfer'"
        f" and cause_id = '{given}'",
        "update idempotency_keys set body = body || ' ' where status = 200",
        "delete from outbox where pos = (select max(pos) from outbox"
        " where type = 'points.redeemed.v1')",
    )
    await rig.segmentation.change(
        "delete from refund_facts where refund_id = (select min(refund_id) from refund_facts"
        " where refund_id not like 'cancellation/%' and amount_fen > 0)",
        "insert into parked_events (producer, pos, event_id, subject, type, event, parked_at)"
        " values ('loyalty', 1, gen_random_uuid(), 'mem', 'order.paid.v1', '{}', now())",
    )


def _copied(redemption_id: str, *, id: str, reference: str) -> str:
    return (
        "insert into redemptions select (json_populate_record(r, json_build_object("
        f"'id', '{id}', 'reference', '{reference}'))).* from redemptions as r"
        f" where id = '{redemption_id}'"
    )


def unseen(faults: Sequence[str]) -> list[str]:
    """What of it the verdict did not name."""
    return [words for words in WORDS if not any(words in fault for fault in faults)]
