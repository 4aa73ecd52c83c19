"""The verdict: what was promised against what is in the books, and whether the books agree."""

import asyncio
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.chaos.crashes.books import Books
from tests.chaos.crashes.journal import Asked, Journal, Kind
from tests.chaos.crashes.rig import CrashRig
from tests.chaos.crashes.verdict_replies import verdict_on_replies
from tests.e2e.runner_process import CHECKOUT
from tests.integration.loyalty.audit import audit

RECOVERY_S: Final = 30.0


async def verdict(rig: CrashRig) -> list[str]:
    """All that is wrong; nothing when every promise was kept, once, and all books agree."""
    journal, loyalty = rig.journal, rig.loyalty
    wrong = [f"nobody should get this answer: {one}" for one in journal.strange]
    wrong += await _members(journal, loyalty)
    wrong += await _orders(journal, loyalty)
    wrong += await _refunds(journal, loyalty)
    wrong += await _cancellations(journal, loyalty)
    wrong += await _redemptions(journal, loyalty)
    wrong += await _transfers(journal, loyalty)
    wrong += await verdict_on_replies(rig)
    wrong += await _audit(loyalty)
    if rig.recovered_s > RECOVERY_S:
        wrong.append(f"the consumers took {rig.recovered_s:.0f} s to reach the head")
    return wrong


def once(what: str, asked: Sequence[Asked], found: Sequence[str]) -> list[str]:
    """What was promised is there, nothing is there twice, and nothing that nobody asked for.

    What was refused is not there. What its caller walked away from may be there, once.
    """
    there = set(found)
    promised = {one.id for one in asked if one.done}
    refused = {one.id for one in asked if one.status is not None and not one.done}
    wrong = []
    if lost := promised - there:
        wrong.append(f"{what}: acknowledged and lost: {sorted(lost)[:5]}, {len(lost)} in all")
    if len(found) != len(there):
        wrong.append(f"{what}: {len(found) - len(there)} happened twice")
    if done := refused & there:
        wrong.append(f"{what}: refused, and done nevertheless: {sorted(done)[:5]}")
    if strangers := there - {one.id for one in asked}:
        wrong.append(f"{what}: nobody asked for {sorted(strangers)[:5]}")
    return wrong


def as_told(
    what: str, asked: Sequence[Asked], found: Mapping[str, Any], told: Mapping[str, str]
) -> list[str]:
    """The row of each has the values of its reply; `told` maps columns to paths in the reply."""
    wrong = []
    for one in asked:
        row = found.get(one.id)
        if row is None:
            continue  # reported as lost already
        reply = one.told
        for column, path in told.items():
            value: Any = reply
            for part in path.split("."):
                value = value[part]
            if getattr(row, column) != value:
                wrong.append(f"{what} {one.id}: {column} is {getattr(row, column)}, told {value}")
    return wrong


async def _members(journal: Journal, loyalty: Books) -> list[str]:
    rows = await loyalty.rows("select id, nickname from members")
    found = {row.nickname: row for row in rows}
    asked = journal.of("enrol")
    return [
        *once("members", asked, [row.nickname for row in rows]),
        *as_told("member", journal.promised("enrol"), found, {"id": "id"}),
    ]


async def _orders(journal: Journal, loyalty: Books) -> list[str]:
    rows = await loyalty.rows(
        "select orders.*, (select coalesce(sum(points), 0)::bigint from point_entries"
        " where cause_kind = 'order' and cause_id = orders.order_id and kind = 'earned'"
        ") as posted_points from orders"
    )
    found = {row.order_id: row for row in rows}
    told = {
        "member_id": "member_id",
        "paid_fen": "paid_fen",
        "earned_points": "points.earned",
        "posted_points": "points.earned",
    }
    completed = {one.told["order_id"] for one in journal.promised("completion")}
    uncompleted = [one for one in completed if one in found and not found[one].completed_at]
    return [
        *once("orders", journal.of("order"), [row.order_id for row in rows]),
        *as_told("order", journal.promised("order"), found, told),
        *(f"the completion of {one} was lost" for one in uncompleted),
    ]


async def _refunds(journal: Journal, loyalty: Books) -> list[str]:
    rows = await loyalty.rows(
        "select refunds.*, (select coalesce(sum(points), 0)::bigint from point_entries"
        " where cause_kind = 'refund' and cause_id = refund_id and kind = 'clawed_back'"
        ") as posted_points from refunds"
    )
    promised = journal.promised("refund")
    told = {
        "applied_fen": "applied_fen",
        "clawed_back_points": "points.clawed_back",
        "posted_points": "points.clawed_back",
        "refunded_total_fen": "refunded_total_fen",
    }
    found = {row.refund_id: row for row in rows}
    wrong = [
        *once("refunds", journal.of("refund"), list(found)),
        *as_told("refund", promised, found, {"order_id": "order_id", "amount_fen": "amount_fen"}),
    ]
    applied = [one for one in promised if one.told["status"] == "applied"]
    wrong += as_told("refund", applied, found, told)
    totals = await loyalty.rows(
        "select order_id from orders where refunded_fen <> case when cancelled_at is not null"
        " then paid_fen else (select coalesce(sum(applied_fen), 0) from refunds"
        " where refunds.order_id = orders.order_id) end"
    )
    return wrong + [f"order {row.order_id}: its refunds do not add up" for row in totals]


async def _cancellations(journal: Journal, loyalty: Books) -> list[str]:
    rows = await loyalty.rows(
        "select order_id, cancelled_at, (select count(*) from order_cancellations"
        " where order_cancellations.order_id = orders.order_id) as times from orders"
    )
    called_off = {one.told["order_id"] for one in journal.promised("cancellation")}
    return [
        f"order {row.order_id} was called off and is not"
        for row in rows
        if row.order_id in called_off and (row.cancelled_at is None or row.times != 1)
    ]


_ENTRIES_OF_REDEMPTIONS: Final = """
    select redemptions.*,
      coalesce(sum(e.points) filter (where e.kind = 'redeemed'), 0)::bigint as redeemed,
      coalesce(sum(e.points) filter (where e.kind = 'held'), 0)::bigint as held,
      coalesce(sum(e.points) filter (where e.kind = 'captured'), 0)::bigint as captured,
      coalesce(sum(e.points) filter (where e.kind in ('restored', 'repaid')
        and e.debit_account in ('held', 'redeemed')), 0)::bigint as returned
    from redemptions left join point_entries as e
      on e.cause_kind = 'redemption' and e.cause_id = redemptions.id
    group by redemptions.id
"""


async def _redemptions(journal: Journal, loyalty: Books) -> list[str]:
    rows = await loyalty.rows(_ENTRIES_OF_REDEMPTIONS)
    asked = [*journal.of("redeem"), *journal.of("hold")]
    found = {row.reference: row for row in rows}
    by_id = {row.id: row for row in rows}
    wrong = [
        *once("redemptions", asked, [row.reference for row in rows]),
        *as_told(
            "redemption", journal.promised("redeem"), found, {"id": "id", "redeemed": "points"}
        ),
        *as_told("hold", journal.promised("hold"), found, {"id": "id", "held": "points"}),
        *(
            f"redemption {row.id}: {row.returned} points went back, {row.returned_points} on record"
            for row in rows
            if row.returned != row.returned_points
        ),
    ]
    ends: Sequence[tuple[Kind, str]] = (
        ("capture", "redeemed"), ("release", "released"), ("restore", "cancelled"),
    )  # fmt: skip
    for kind, state in ends:
        for one in journal.promised(kind):
            row = by_id[one.told["id"]]
            if row.state != state and (kind, row.state) != ("capture", "cancelled"):
                wrong.append(f"{kind} of {row.id} was acknowledged, and it is {row.state}")
            if kind == "capture" and row.captured != row.points:
                wrong.append(f"{row.captured} points of {row.id} were captured")
            if kind != "capture" and row.returned != row.points:
                wrong.append(f"{kind} of {row.id} gave back {row.returned} of {row.points}")
    return wrong


async def _transfers(journal: Journal, loyalty: Books) -> list[str]:
    rows = await loyalty.rows(
        "select transfers.*, (select count(*) from point_entries where cause_kind = 'transfer'"
        " and cause_id = transfers.id and point_entries.member_id = transfers.member_id"
        " and point_entries.points = transfers.points) as sent,"
        " (select coalesce(sum(points), 0)::bigint from point_entries"
        " where cause_kind = 'transfer' and cause_id = transfers.id"
        " and debit_account = 'transferred') as received from transfers"
    )
    found = {row.reason: row for row in rows}
    told = {"id": "id", "points": "points", "received": "points", "to_member_id": "to_member_id"}
    return [
        *once("transfers", journal.of("transfer"), [row.reason for row in rows]),
        *as_told("transfer", journal.promised("transfer"), found, told),
        *(f"transfer {row.id} left its sender {row.sent} times" for row in rows if row.sent != 1),
    ]


async def _audit(loyalty: Books) -> list[str]:
    """All invariants of the ledger, by the tests' auditor and by the operators' program."""
    wrong = []
    try:
        # Holds go on ending by themselves.
        async with loyalty.still() as still:
            await audit(still)
    except AssertionError as fault:
        wrong.append(f"the auditor: {''.join(traceback.format_exception(fault))}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.loyalty.verify", "--database", loyalty.url),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        wrong.append(f"make verify: {said.decode()}")
    return wrong
