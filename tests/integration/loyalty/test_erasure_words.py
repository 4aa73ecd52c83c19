"""What people wrote about a member goes with the member: from rows, entries and kept replies."""

from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from shared.kernel.clock import rfc3339
from tests.integration.loyalty.imports_points_world import balance, customer, imported, past
from tests.integration.loyalty.lots_world import ANNOUNCE, DAY, notices, run
from tests.integration.loyalty.members_world import erase
from tests.integration.loyalty.moves import SECOND, cancel
from tests.integration.loyalty.people import enrol, order_of, redeem
from tests.integration.loyalty.test_erasure import dump
from tests.support.service import MANAGER, ServiceUnderTest, Starter

WORDS: Final = "金丝雀写的话"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def wrote(
    loyalty: ServiceUnderTest, operation: str, json: dict[str, Any], **more: Any
) -> httpx.Response:
    """Ask for something with words, under a key that is the operation's name."""
    reply = await loyalty.call(operation, json=json, key=f"wrote-{operation}", **more)
    assert reply.is_success, reply.text
    return reply


async def written_about(loyalty: ServiceUnderTest, member_id: str, friend: str) -> None:
    """Words in every place that takes them."""
    await wrote(loyalty, "adjust_points", {"points": 20_000, "reason": WORDS}, member_id=member_id)
    adjustments = (await loyalty.call("list_adjustments")).json()["data"]
    await wrote(
        loyalty, "decide_adjustment", {"decision": "approve", "reason": WORDS},
        adjustment_id=adjustments[0]["id"], principal=SECOND,
    )  # fmt: skip
    gift = {"to_member_id": member_id, "points": 100, "reason": WORDS}
    await wrote(loyalty, "transfer_points", gift, member_id=friend)
    spent = (await redeem(loyalty, member_id, points=5)).json()["id"]
    await cancel(loyalty, spent, reason=WORDS)
    order = order_of(member_id, paid_fen=100)
    called_off = {"cancelled_at": "2026-11-23T11:00:00+08:00", "reason": WORDS}
    # Before its order: whose it will be is not known when the reply is kept.
    await wrote(loyalty, "cancel_order", called_off, order_id=order["order_id"])
    assert (await loyalty.call("record_order", json=order)).is_success
    later = rfc3339(loyalty.clock.now() + timedelta(days=800))
    await wrote(loyalty, "extend_lots", {"expires_at": later, "reason": WORDS}, member_id=member_id)


async def noticed(loyalty: ServiceUnderTest, member_id: str) -> None:
    """A notice that failed on one channel and was delivered on another."""
    loyalty.clock.at = DAY - timedelta(days=30)
    await run(loyalty, ANNOUNCE)
    notice_id = (await notices(loyalty, member_id=member_id))[0]["id"]
    failure = {"channel": "sms", "reason": WORDS}
    await wrote(loyalty, "report_notice_failure", failure, notice_id=notice_id)
    delivery = {"channel": "letter", "delivered_at": rfc3339(loyalty.clock.now())}
    delivery["receipt"] = WORDS
    await wrote(loyalty, "confirm_notice_delivery", delivery, notice_id=notice_id)


async def test_no_word_is_left_in_any_row_entry_or_kept_reply(loyalty: ServiceUnderTest) -> None:
    await imported(
        loyalty,
        [
            balance("OLD-1", 500, expires_at=rfc3339(DAY), reason=WORDS),
            past("redeemed", "OLD-2", 100, reason=WORDS),
        ],
    )
    member_id, friend = await customer(loyalty), await enrol(loyalty)
    reply = await loyalty.call(
        "adjust_points", member_id=friend, json={"points": 500, "reason": "开门红"}
    )
    assert reply.is_success
    await noticed(loyalty, member_id)
    await written_about(loyalty, member_id, friend)
    entries = (await loyalty.call("list_point_entries", member_id=member_id)).json()["data"]
    assert sum(entry["reason"] == WORDS for entry in entries) >= 5, "shown as long as there is one"
    kept = await loyalty.rows(
        "select key from idempotency_keys where position(:words in convert_from(body, 'UTF8')) > 0",
        words=WORDS,
    )
    assert len(kept) == 7, "the test writes wherever a reply repeats it"

    assert (await erase(loyalty, member_id)).is_success

    assert WORDS not in await dump(loyalty)
    for row in kept:
        operation = row.key.removeprefix("wrote-")
        by = "api_key:" + (SECOND if operation == "decide_adjustment" else MANAGER).id
        (answer,) = await loyalty.rows(
            "select status from idempotency_keys where scope = :scope and key = :key",
            scope=f"{by} {operation}", key=row.key,
        )  # fmt: skip
        assert answer.status == 404


async def test_who_shares_the_reference_of_an_import_keeps_their_words(
    loyalty: ServiceUnderTest,
) -> None:
    await imported(
        loyalty,
        [balance("OLD-1", 500, reason=WORDS, identity_value=who) for who in ("gone", "here")],
    )
    await erase(loyalty, await customer(loyalty, "gone"))
    entries = await loyalty.call("list_point_entries", member_id=await customer(loyalty, "here"))
    assert [entry["reason"] for entry in entries.json()["data"]] == [WORDS]


async def test_nothing_is_written_about_somebody_who_is_erased(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, [balance("OLD-1", 500, expires_at=rfc3339(DAY))])
    member_id = await customer(loyalty)
    order = order_of(member_id, paid_fen=100)
    assert (await loyalty.call("record_order", json=order)).is_success
    loyalty.clock.at = DAY - timedelta(days=30)
    await run(loyalty, ANNOUNCE)
    notice_id = (await notices(loyalty, member_id=member_id))[0]["id"]
    await erase(loyalty, member_id)

    delivered = {"channel": "letter", "delivered_at": rfc3339(loyalty.clock.now())}
    for operation, given in (
        ("confirm_notice_delivery", {**delivered, "receipt": WORDS}),
        ("report_notice_failure", {"channel": "sms", "reason": WORDS}),
    ):
        late = await loyalty.call(operation, notice_id=notice_id, json=given)
        assert (late.status_code, late.json()["code"]) == (404, "not_found")
    called_off = {"cancelled_at": "2026-11-23T13:00:00+08:00", "reason": WORDS}
    for status in (201, 200):
        reply = await loyalty.call("cancel_order", order_id=order["order_id"], json=called_off)
        assert (reply.status_code, reply.json()["reason"]) == (status, None)
    assert WORDS not in await dump(loyalty)


async def test_a_cancellation_repeated_after_the_erasure_says_no_word(
    loyalty: ServiceUnderTest,
) -> None:
    await imported(loyalty, [balance("OLD-1", 500)])
    member_id = await customer(loyalty)
    order = order_of(member_id, paid_fen=100)
    called_off = {"cancelled_at": "2026-11-23T13:00:00+08:00", "reason": WORDS}
    assert (await loyalty.call("record_order", json=order)).is_success
    first = await loyalty.call("cancel_order", order_id=order["order_id"], json=called_off)
    assert first.json()["reason"] == WORDS
    await erase(loyalty, member_id)
    again = await loyalty.call("cancel_order", order_id=order["order_id"], json=called_off)
    assert (again.status_code, again.json()["reason"]) == (200, None)
    assert WORDS not in await dump(loyalty)


@pytest.mark.parametrize("gone", ["source", "target"])
async def test_why_two_were_taken_for_one_goes_with_either_of_them(
    loyalty: ServiceUnderTest, gone: str
) -> None:
    members = {"source": await enrol(loyalty), "target": await enrol(loyalty)}
    body = {"source_member_id": members["source"], "reason": WORDS}
    merged = await wrote(loyalty, "merge_members", body, member_id=members["target"])
    await wrote(loyalty, "reverse_merge", {"reason": WORDS}, merge_id=merged.json()["id"])
    await erase(loyalty, members[gone])
    assert WORDS not in await dump(loyalty)
