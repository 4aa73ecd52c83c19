"""The verdict on the event logs: dense, complete, each fact applied once by everybody."""

from typing import Final

from tests.chaos.crashes.books import Books
from tests.chaos.crashes.rig import CrashRig

#: What must have as many events as there are rows: (events, rows).
_TOLD_ONCE: Final = {
    "members enrolled": (
        "select count(*), count(distinct subject) from outbox where type = 'member.enrolled.v1'",
        "select count(*) from members",
    ),
    "orders paid": (
        (
            "select count(*), count(distinct data->>'order_id') from outbox"
            " where type = 'order.paid.v1'"
        ),
        "select count(*) from orders",
    ),
    "refunds": (
        (
            "select count(*), count(distinct data->>'refund_id') from outbox"
            " where type = 'order.refunded.v1' and data->>'refund_id' not like 'cancellation/%'"
        ),
        "select count(*) from refunds where applied_fen > 0",
    ),
    "points redeemed": (
        (
            "select count(*), count(distinct data->>'redemption_id') from outbox"
            " where type = 'points.redeemed.v1'"
        ),
        "select count(*) from redemptions where state in ('redeemed', 'cancelled')",
    ),
    "points restored": (
        (
            "select count(*), count(distinct data->>'redemption_id') from outbox"
            " where type = 'points.restored.v1'"
        ),
        "select count(*) from redemptions where returned_points > 0",
    ),
    "transfers": (
        (
            "select count(*), count(distinct data->>'transfer_id') * 2 from outbox"
            " where type = 'points.transferred.v1'"
        ),
        "select count(*) * 2 from transfers",
    ),
}


async def verdict_on_events(rig: CrashRig) -> list[str]:
    """All that is wrong with the logs and with what was made of them."""
    wrong = []
    services = {
        "loyalty": rig.loyalty, "segmentation": rig.segmentation, "referral": rig.referral,
    }  # fmt: skip
    for name, books in services.items():
        wrong += [f"{name}: {fault}" for fault in await _log_faults(books)]
    for what, (events, rows) in _TOLD_ONCE.items():
        [(times, different)] = await rig.loyalty.rows(events)
        wanted = await rig.loyalty.scalar(rows)
        if (times, different) != (wanted, wanted):
            wrong.append(f"{what}: {wanted} on record, {times} told, {different} different ones")
    return wrong + await _facts(rig.loyalty, rig.segmentation)


async def _log_faults(books: Books) -> list[str]:
    wrong = []
    [log] = await books.rows(
        "select count(*) as n, coalesce(min(pos), 1) as low, coalesce(max(pos), 0) as high,"
        " count(distinct pos) as different, (select pos from feed_head) as head from outbox"
    )
    if (log.low, log.high, log.different, log.head) != (1, log.n, log.n, log.n):
        wrong.append(f"positions are not 1..n without a hole: {log}")
    subjects = await books.rows(
        "select subject from outbox group by subject"
        " having count(*) <> max(subject_version) or min(subject_version) <> 1"
        " or count(*) <> (select version from event_subjects"
        " where event_subjects.subject = outbox.subject)"
    )
    if subjects:
        wrong.append(f"{len(subjects)} subjects miss an event")
    if parked := await books.scalar("select count(*) from parked_events"):
        wrong.append(f"{parked} events are parked")
    return wrong


async def _facts(loyalty: Books, segmentation: Books) -> list[str]:
    """Segmentation knows what loyalty knows."""
    pairs = {
        "orders": (
            "select order_id, member_id, paid_fen from orders order by 1",
            "select order_id, member_id, paid_fen from order_facts order by 1",
        ),
        "refunds": (
            (
                "select refund_id, order_id, applied_fen from refunds"
                " where applied_fen > 0 order by 1"
            ),
            (
                "select refund_id, order_id, amount_fen from refund_facts"
                " where refund_id not like 'cancellation/%' order by 1"
            ),
        ),
        "members": (
            "select id from members order by 1",
            "select member_id from members order by 1",
        ),
    }
    wrong = []
    for what, (ours, theirs) in pairs.items():
        told = {tuple(row) for row in await loyalty.rows(ours)}
        known = {tuple(row) for row in await segmentation.rows(theirs)}
        if told != known:
            wrong.append(
                f"{what}: segmentation misses {len(told - known)}, made up"
                f" {len(known - told)}: {sorted(told ^ known)[:3]}"
            )
    return wrong
