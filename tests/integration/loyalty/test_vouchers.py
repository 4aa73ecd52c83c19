"""Vouchers through loyalty's door: redeemed once, listed as they stand, refused with the reason."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from shared.sql import execute
from tests.integration.loyalty.vouchers_world import events, insist, member, template, voucher
from tests.support.service import NOON, ServiceUnderTest, Starter
from tests.support.waiting import until

NOWHERE = "vch_00000000000000000000000000"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


def _order(number: int = 1, order_fen: int = 25_900) -> dict[str, object]:
    return {"order_id": f"SO-{number}", "order_fen": order_fen}


async def test_a_voucher_is_redeemed_and_says_what_it_took_off(loyalty: ServiceUnderTest) -> None:
    voucher_id = await voucher(loyalty)

    redeemed = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order())

    assert redeemed.status_code == 201
    body = redeemed.json()
    assert (body["state"], body["discount_fen"], body["order_id"]) == ("redeemed", 5000, "SO-1")
    assert (await loyalty.call("show_voucher", voucher_id=voucher_id)).json() == body
    (event,) = await events(loyalty, "voucher.redeemed.v1")
    assert (event["voucher_id"], event["order_id"]) == (voucher_id, "SO-1")


async def test_of_a_hundred_simultaneous_redemptions_one_wins(loyalty: ServiceUnderTest) -> None:
    voucher_id = await voucher(loyalty)

    replies = await asyncio.gather(
        *(
            insist(loyalty, "redeem_voucher", voucher_id=voucher_id, json=_order(number))
            for number in range(100)
        )
    )

    won = [reply for reply in replies if reply.status_code == 201]
    lost = [reply for reply in replies if reply.status_code == 409]
    assert (len(won), len(lost)) == (1, 99)
    assert {reply.json()["code"] for reply in lost} == {"voucher_already_redeemed"}
    assert len(await events(loyalty, "voucher.redeemed.v1")) == 1


async def test_redemptions_that_read_at_the_same_moment_do_not_all_win(
    loyalty: ServiceUnderTest,
) -> None:
    """All five come while somebody else holds the voucher, so none can be done before another."""
    voucher_id = await voucher(loyalty)

    async def all_wait() -> bool:
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        return bool(await loyalty.scalar(f"{waiting} and datname = current_database()") == 5)

    async with loyalty.database.begin(actor="test") as transaction:
        hold = text("select 1 from vouchers where id = :id for update")
        await execute(transaction.session, hold, {"id": voucher_id})
        redeeming = [
            asyncio.create_task(
                insist(loyalty, "redeem_voucher", voucher_id=voucher_id, json=_order(number))
            )
            for number in range(5)
        ]
        await until(all_wait, what="five redemptions to wait for the voucher")
    replies = await asyncio.gather(*redeeming)

    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409, 409]
    assert len(await events(loyalty, "voucher.redeemed.v1")) == 1


async def test_the_same_order_again_gets_the_first_reply(loyalty: ServiceUnderTest) -> None:
    voucher_id = await voucher(loyalty)
    first = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(), key="k1")

    same_key = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(), key="k1")
    other_key = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(), key="k2")

    assert (same_key.status_code, same_key.headers["Idempotency-Replayed"]) == (201, "true")
    assert other_key.status_code == 200
    assert same_key.json() == other_key.json() == first.json()
    assert len(await events(loyalty, "voucher.redeemed.v1")) == 1


async def test_the_same_order_with_another_amount_is_refused(loyalty: ServiceUnderTest) -> None:
    voucher_id = await voucher(loyalty)
    await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order())

    refused = await loyalty.call(
        "redeem_voucher", voucher_id=voucher_id, json=_order(order_fen=30_000)
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "already_recorded_differently")


async def test_below_the_threshold_the_gap_is_told_and_nothing_changes(
    loyalty: ServiceUnderTest,
) -> None:
    voucher_id = await voucher(loyalty)

    refused = await loyalty.call(
        "redeem_voucher", voucher_id=voucher_id, json=_order(order_fen=18_700)
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_below_threshold")
    assert "差 12 元" in refused.json()["detail"]
    shown = (await loyalty.call("show_voucher", voucher_id=voucher_id)).json()
    assert (shown["state"], shown["order_id"]) == ("issued", None)
    assert await events(loyalty, "voucher.redeemed.v1") == []


async def test_past_its_end_a_voucher_reads_as_expired_before_and_after_the_job(
    loyalty: ServiceUnderTest,
) -> None:
    voucher_id = await voucher(loyalty)
    loyalty.clock.advance(timedelta(days=32))

    async def seen() -> tuple[str, list[str], list[str]]:
        shown = (await loyalty.call("show_voucher", voucher_id=voucher_id)).json()
        by_state = [
            await loyalty.call(
                "list_member_vouchers", member_id=shown["member_id"], params={"state": state}
            )
            for state in ("expired", "issued")
        ]
        expired, issued = ([row["id"] for row in reply.json()["data"]] for reply in by_state)
        return shown["state"], expired, issued

    before = await seen()
    refused = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order())
    (job,) = [job for job in JOBS if job.name == "expire_vouchers"]
    assert await run_due(job, database=loyalty.database) == 1
    assert await run_due(job, database=loyalty.database) == 0

    assert refused.json()["code"] == "voucher_expired"
    assert before == await seen() == ("expired", [voucher_id], [])
    again = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order())
    assert again.json()["code"] == "voucher_expired"


async def test_the_job_leaves_valid_and_used_vouchers_alone(loyalty: ServiceUnderTest) -> None:
    valid, used = await voucher(loyalty, validity_days=60), await voucher(loyalty)
    await loyalty.call("redeem_voucher", voucher_id=used, json=_order())
    loyalty.clock.advance(timedelta(days=32))

    (job,) = [job for job in JOBS if job.name == "expire_vouchers"]

    assert await run_due(job, database=loyalty.database) == 0
    states = await loyalty.rows("select id, state from vouchers")
    assert {row.id: row.state for row in states} == {valid: "issued", used: "redeemed"}


async def test_a_voucher_does_not_count_before_its_first_day(loyalty: ServiceUnderTest) -> None:
    tomorrow = NOON + timedelta(days=1)
    voucher_id = await voucher(
        loyalty,
        validity_days=None,
        valid_from=tomorrow.isoformat(),
        valid_until=(tomorrow + timedelta(days=7)).isoformat(),
    )

    early = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(), key="early")
    loyalty.clock.advance(timedelta(days=1))
    in_time = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order())

    assert early.json()["code"] == "voucher_not_yet_valid"
    assert in_time.status_code == 201


async def test_a_new_customer_voucher_counts_on_the_first_order_only(
    loyalty: ServiceUnderTest,
) -> None:
    voucher_id = await voucher(loyalty, kind="new_customer", threshold_fen=0)
    member_id = (await loyalty.call("show_voucher", voucher_id=voucher_id)).json()["member_id"]
    ordered = await loyalty.call(
        "record_order",
        json={
            "order_id": "SO-1",
            "member_id": member_id,
            "paid_fen": 9900,
            "items": [{"sku": "TEA-1", "quantity": 1, "paid_fen": 9900}],
            "paid_at": NOON.isoformat(),
        },
    )
    assert ordered.status_code == 201, ordered.text

    second = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(2))
    first = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(1))

    assert second.json()["code"] == "voucher_for_new_customers"
    assert first.status_code == 201


async def test_a_members_vouchers_are_listed_newest_first_page_by_page(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, template_id = await member(loyalty), await template(loyalty)
    issued = []
    for _ in range(5):
        reply = await loyalty.call(
            "issue_vouchers", template_id=template_id, json={"member_ids": [member_id]}
        )
        issued.append(reply.json()["vouchers"][0]["id"])
        loyalty.clock.advance(timedelta(seconds=1))

    listed: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = await loyalty.call("list_member_vouchers", member_id=member_id, params=params)
        listed += [row["id"] for row in page.json()["data"]]
        cursor = page.json()["next_cursor"]

    assert cursor is None
    assert listed == issued[::-1]


async def test_what_does_not_exist_is_not_found(loyalty: ServiceUnderTest) -> None:
    nobody = "mem_00000000000000000000000000"

    replies = [
        await loyalty.call("show_voucher", voucher_id=NOWHERE),
        await loyalty.call("show_voucher", voucher_id="vch_x"),
        await loyalty.call("redeem_voucher", voucher_id=NOWHERE, json=_order()),
        await loyalty.call("list_member_vouchers", member_id=nobody),
        await loyalty.call("show_voucher_template", template_id="vtp_00000000000000000000000000"),
    ]

    assert [reply.status_code for reply in replies] == [404] * len(replies)


async def test_a_redemption_needs_an_idempotency_key(loyalty: ServiceUnderTest) -> None:
    voucher_id = await voucher(loyalty)

    refused = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=_order(), key=None)

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_missing")
    shown = (await loyalty.call("show_voucher", voucher_id=voucher_id)).json()
    assert shown["state"] == "issued"
