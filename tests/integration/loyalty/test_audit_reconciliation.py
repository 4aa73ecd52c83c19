"""Reconciliation: finds whatever does not agree, says so everywhere, and nothing else."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from services.loyalty.domain.reconciliations import KEPT_DISAGREEMENTS
from services.loyalty.operations import reconciliations
from shared.db import Transaction
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.ledger_world import (
    audited,
    checkpoint,
    member_ids,
    reconcile,
    tamper,
    without_checks,
    write_history,
)
from tests.integration.loyalty.members_world import merge
from tests.integration.loyalty.people import place, redeem, spendable, types_of_events
from tests.support.service import ServiceUnderTest, Starter

WHO: Final = member_ids(5)[2]
ALERTS: Final = Path(__file__).parents[3] / "deploy" / "alerts.yml"


@pytest.fixture
async def loyalty(start: Starter, monkeypatch: pytest.MonkeyPatch) -> ServiceUnderTest:
    """Five members, a checkpoint, and slices so small that a walk takes several."""
    monkeypatch.setattr(reconciliations, "_SLICE", 2)
    service = await start("loyalty")
    await write_history(service, members=5, entries=12)
    assert await checkpoint(service) == 1
    await write_history(service, members=3, entries=6)
    return service


async def test_books_that_agree_hold(loyalty: ServiceUnderTest) -> None:
    proof = await reconcile(loyalty)
    assert (proof["holds"], proof["disagreements"]) == (True, 0)
    assert proof["checked_at"] is not None
    assert "ledger.disagreed.v1" not in await types_of_events(loyalty)
    one = await loyalty.call("show_reconciliation", reconciliation_id=proof["reconciliation_id"])
    found = one.json()
    assert (found["state"], found["members"], found["members_total"]) == ("done", 5, 5)
    assert found["entries"] == await loyalty.scalar("select count(*) from point_entries")
    assert (found["checkpoint"], found["holds"]) == (1, True)


async def test_a_lot_that_came_along_empty_in_a_merge_is_no_disagreement(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=50), await spendable(loyalty, points=20)
    assert (await redeem(loyalty, source, points=50)).status_code == 201
    await merge(loyalty, target, source)
    assert (await reconcile(loyalty))["holds"]


@pytest.mark.parametrize(
    ("change", "identity"),
    [
        ("accounts set available = available + 1", "lots_are_balances"),
        ("accounts set available = available + 1", "last_entry_is_account"),
        ("accounts set available = available + 1", "entries_are_balances"),
        ("accounts set entry_hash = sha256(entry_hash)", "last_entry_is_account"),
        ("accounts set entry_seq = entry_seq + 1", "entries_are_dense"),
        ("accounts set held = 5", "holds_are_held"),
        ("point_entries set available_after = 0 where seq > 12 and", "last_entry_is_account"),
        ("point_entries set points = points + 1 where seq = 3 and", "entries_are_balances"),
        ("point_entries set seq = 100 where seq = 3 and", "entries_are_dense"),
        ("point_entries set hash = sha256(hash) where", "checkpoint_is_kept"),
        ("lot_allocations set points = points + 1 where", "allocations_are_lots"),
        ("lot_allocations set lot_id = 'lot_other' where entry_seq = 1 and",
         "allocations_are_lots"),
        ("point_lots set remaining = remaining - 1 where state = 'available' and",
         "lots_are_balances"),
        ("point_lots set state = 'pending' where remaining > 0 and", "lots_are_balances"),
        ("accounts set member_id = 'mem_other'", "account_exists"),
    ],
)  # fmt: skip
async def test_whoever_does_not_agree_is_named_with_what_is_broken(
    loyalty: ServiceUnderTest, change: str, identity: str
) -> None:
    await without_checks(loyalty)
    place = "" if "where" in change and change.rstrip().endswith(("where", "and")) else "where"
    await tamper(loyalty, f"update {change} {place} member_id = '{WHO}'")
    proof = await reconcile(loyalty)
    assert proof["holds"] is False
    named = {one["member_id"]: one["identities"] for one in proof["first_disagreements"]}
    assert identity in named[WHO]
    assert set(named) <= {WHO, None, "mem_other"}


async def test_a_held_redemption_without_held_points_is_named(loyalty: ServiceUnderTest) -> None:
    await tamper(
        loyalty,
        "insert into redemptions (id, member_id, state, points, purpose, reference, created_at)"
        f" values ('rdm_1', '{WHO}', 'held', 5, 'checkout', 'SO-1', now())",
    )
    proof = await reconcile(loyalty)
    assert proof["first_disagreements"] == [{"member_id": WHO, "identities": ["holds_are_held"]}]


async def test_a_member_removed_with_all_rows_is_missed(loyalty: ServiceUnderTest) -> None:
    tables = ("lot_allocations", "point_entries", "point_lots", "accounts")
    await tamper(loyalty, *(f"delete from {one} where member_id = '{WHO}'" for one in tables))
    proof = await reconcile(loyalty)
    assert proof["first_disagreements"][0] == {
        "member_id": WHO, "identities": ["account_exists", "checkpoint_is_kept"],
    }  # fmt: skip


async def test_a_checkpoint_whose_totals_are_wrong_is_noticed(loyalty: ServiceUnderTest) -> None:
    await tamper(loyalty, "update ledger_checkpoints set totals = totals || '{\"issued\": -1}'")
    proof = await reconcile(loyalty)
    assert proof["first_disagreements"] == [
        {"member_id": None, "identities": ["ledger_is_checkpoint"]}
    ]


async def test_a_disagreement_is_told_by_event_log_and_figures(
    loyalty: ServiceUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    await tamper(loyalty, f"update accounts set growth = 1, debt = 1 where member_id = '{WHO}'")
    await reconcile(loyalty)
    (line,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert "ledger disagrees" in line.getMessage()
    (event,) = await loyalty.rows(
        "select subject, data from outbox where type = 'ledger.disagreed.v1'"
    )
    assert (event.subject, event.data["disagreements"]) == ("ledger", 1)
    assert event.data["first_member_ids"] == [WHO]
    figures = (await loyalty.call("show_loyalty_metrics")).text
    assert "huitou_ledger_disagreements 1.0" in figures
    assert "huitou_ledger_checkpoint_number 1.0" in figures
    asked = [name for name in figures.split() if name.startswith("huitou_ledger_")]
    for name in ("huitou_ledger_disagreements", "huitou_ledger_reconciled_timestamp_seconds"):
        assert name in asked
        assert name in ALERTS.read_text("utf-8"), "an alert asks for a figure that is there"


async def test_it_is_done_once_a_day_and_whenever_asked(loyalty: ServiceUnderTest) -> None:
    first = (await reconcile(loyalty))["reconciliation_id"]
    asked = await loyalty.call("start_reconciliation")
    assert asked.status_code == 202, asked.text
    begun = asked.json()
    assert begun["id"] != first
    assert (begun["state"], begun["members"], begun["members_total"]) == ("running", 0, 5)
    assert begun["holds"] is None
    again = await loyalty.call("start_reconciliation")
    assert again.json()["id"] == begun["id"], "the one at work serves"
    assert (await reconcile(loyalty))["holds"] is True
    done = await loyalty.call("show_reconciliation", reconciliation_id=begun["id"])
    assert done.json()["state"] == "done"


async def test_an_unknown_reconciliation_is_not_found(loyalty: ServiceUnderTest) -> None:
    reply = await loyalty.call("show_reconciliation", reconciliation_id="rcn_" + "0" * 26)
    assert reply.status_code == 404


async def test_nothing_seems_to_disagree_while_members_earn_and_spend(
    loyalty: ServiceUnderTest,
) -> None:
    members = [await spendable(loyalty, points=1_000) for _ in range(4)]
    writing = True

    async def write(member_id: str) -> None:
        while writing:
            await redeem(loyalty, member_id, points=1)
            await place(loyalty, member_id, paid_fen=1_000)

    writers = [asyncio.ensure_future(write(member_id)) for member_id in members]
    walks = 0
    before = await loyalty.scalar("select count(*) from point_entries")
    while walks < 2 or await loyalty.scalar("select count(*) from point_entries") < before + 120:
        await checkpoint(loyalty)
        proof = await reconcile(loyalty)
        assert proof["disagreements"] == 0, proof
        walks += 1
    writing = False
    await asyncio.gather(*writers)
    assert (await audited(loyalty)).faults == 0
    assert await audit(loyalty) > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (None, None),
        ("actor = 'nobody'", "member {who}, entry 7: altered in kind, programme account, cause"),
        ("points = points + 1", "member {who}, entry 7: altered in accounts, points or balances"),
    ],
)
async def test_one_members_chain_is_proven_on_demand(
    loyalty: ServiceUnderTest, change: str | None, words: str | None
) -> None:
    if change is not None:
        await tamper(
            loyalty, f"update point_entries set {change} where member_id = '{WHO}' and seq = 7"
        )
    reply = await loyalty.call(
        "show_member_proof", member_id=WHO, headers={"Accept-Language": "en"}
    )
    assert reply.status_code == 200, reply.text
    proof: dict[str, Any] = reply.json()
    head = await loyalty.scalar("select hash from point_entries where member_id = :id"
                                " order by seq desc limit 1", id=WHO)  # fmt: skip
    assert (proof["holds"], proof["hash"]) == (words is None, head.hex())
    if words is None:
        assert proof["finding"] is None
    else:
        assert proof["finding"].startswith(words.format(who=WHO))


async def test_nobody_has_a_proof_who_is_no_member(loyalty: ServiceUnderTest) -> None:
    reply = await loyalty.call("show_member_proof", member_id="mem_" + "z" * 26)
    assert (reply.status_code, reply.json()["code"]) == (404, "member_not_found")


async def test_of_very_many_disagreements_all_are_counted_and_the_first_are_kept_and_named(
    loyalty: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliations, "_SLICE", 100)
    ids = await write_history(loyalty, members=KEPT_DISAGREEMENTS + 1, entries=1)
    await tamper(loyalty, "update accounts set available = available + 1")
    proof = await reconcile(loyalty)
    assert proof["disagreements"] == KEPT_DISAGREEMENTS + 1
    kept = await loyalty.scalar("select first_disagreements from ledger_reconciliations")
    assert [one["member_id"] for one in kept] == ids[:KEPT_DISAGREEMENTS]
    event = await loyalty.scalar("select data from outbox where type = 'ledger.disagreed.v1'")
    assert event["first_member_ids"] == ids[:10]


async def test_a_checkpoint_taken_during_a_walk_is_not_what_the_walk_is_compared_with(
    loyalty: ServiceUnderTest,
) -> None:
    def step(transaction: Transaction) -> Awaitable[int]:
        return reconciliations.reconcile_ledger(transaction, every=timedelta(days=1))

    assert (await loyalty.call("start_reconciliation")).status_code == 202
    assert await loyalty.database.run(step, actor="test") == 1, "a first slice"
    await write_history(loyalty, members=5, entries=6)
    assert await checkpoint(loyalty) == 1
    while await loyalty.database.run(step, actor="test"):
        pass
    proof = (await loyalty.call("show_ledger_proof")).json()
    assert (proof["holds"], proof["disagreements"]) == (True, 0)
