"""A voucher and the order it is used on: used once, on one's own, and back with all of it."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from services.loyalty.operations.rewards import reverse_reward
from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.people import enrol, order_of, place, refund
from tests.integration.loyalty.racing import order_lock, race, replicas_of
from tests.integration.loyalty.vouchers_world import hear, reward_due, template
from tests.support.service import ServiceUnderTest, Starter
from tests.support.waiting import until

NEWCOMERS = {"name": "新客立减", "kind": "new_customer", "amount_fen": 2_000, "validity_days": 30}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def given(loyalty: ServiceUnderTest, member_id: str, **terms: Any) -> str:
    """A voucher of a template of its own in this wallet."""
    made = await loyalty.call(
        "issue_vouchers",
        template_id=await template(loyalty, **terms),
        json={"member_ids": [member_id]},
    )
    return str(made.json()["vouchers"][0]["id"])


async def use(loyalty: ServiceUnderTest, voucher_id: str, order_id: str) -> httpx.Response:
    """Use a voucher on an order of 300 yuan."""
    body = {"order_id": order_id, "order_fen": 30_000}
    return await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=body)


async def cancel(loyalty: ServiceUnderTest, order_id: str) -> httpx.Response:
    body = {"cancelled_at": rfc3339(loyalty.clock.now())}
    return await loyalty.call("cancel_order", order_id=order_id, json=body)


async def state_of(loyalty: ServiceUnderTest, voucher_id: str) -> str:
    shown = await loyalty.call("show_voucher", voucher_id=voucher_id)
    return str(shown.json()["state"])


async def test_a_voucher_whose_reward_is_taken_back_meanwhile_does_not_come_back(
    loyalty: ServiceUnderTest,
) -> None:
    """The cancellation waits for the voucher that the reversal holds, and must look again then."""
    member_id = await enrol(loyalty)
    await hear(loyalty, reward_due(member_id=member_id))
    order_id = await place(loyalty, member_id, paid_fen=30_000)
    (row,) = await loyalty.rows("select id from vouchers")
    assert (await use(loyalty, row.id, order_id)).status_code == 201

    async def waits() -> bool:
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        return bool(await loyalty.scalar(f"{waiting} and datname = current_database()") == 1)

    async with loyalty.database.begin(actor="event:referral") as transaction:
        await reverse_reward(
            transaction,
            reward_id="rwd_1",
            referral_id="ref_1",
            beneficiary_id=member_id,
            reason="order_refunded",
        )
        await transaction.session.flush()
        cancelling = asyncio.create_task(cancel(loyalty, order_id))
        await until(waits, what="the cancellation to wait for the voucher")
    assert (await cancelling).status_code == 201
    assert await state_of(loyalty, row.id) == "redeemed"
    assert await loyalty.scalar("select outcome from rewards") == "written_off"
    assert (await use(loyalty, row.id, "SO-NEXT")).status_code == 409


@pytest.mark.parametrize("facts", [*itertools.permutations(["use", "order", "cancel"])])
async def test_a_cancelled_order_keeps_no_voucher_in_whatever_order_it_is_told(
    loyalty: ServiceUnderTest, facts: tuple[str, ...]
) -> None:
    member_id = await enrol(loyalty)
    voucher_id = await given(loyalty, member_id)
    for fact in facts:
        if fact == "order":
            await place(loyalty, member_id, paid_fen=30_000, order_id="SO-1")
        elif fact == "cancel":
            assert (await cancel(loyalty, "SO-1")).status_code in (200, 201, 202)
        else:
            reply = await use(loyalty, voucher_id, "SO-1")
            refused = facts.index("cancel") < facts.index("use")
            assert reply.status_code == (409 if refused else 201)
            assert not refused or reply.json()["code"] == "order_gone"
    assert await state_of(loyalty, voucher_id) == "issued"
    await audit(loyalty)


async def test_a_voucher_used_at_the_moment_of_a_full_refund_is_not_lost(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    one, other = await replicas_of(loyalty, start, count=2)
    for number in range(6):
        member_id = await enrol(loyalty)
        voucher_id = await given(loyalty, member_id)
        order_id = await place(loyalty, member_id, paid_fen=30_000)
        await race(
            loyalty,
            use(one, voucher_id, order_id),
            refund(other, order_id, amount_fen=30_000, refund_id=f"RF-{number}"),
            at=order_lock(order_id),
            meeting=1,
        )
        assert await state_of(loyalty, voucher_id) == "issued"
    await audit(loyalty)


async def test_vouchers_that_may_only_be_used_alone_are_used_alone(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    alone = [await given(loyalty, member_id) for _ in range(2)]
    together = [await given(loyalty, member_id, stackable=True) for _ in range(2)]
    assert [(await use(loyalty, one, "SO-1")).status_code for one in together] == [201, 201]
    for one in alone:
        reply = await use(loyalty, one, "SO-1")
        assert (reply.status_code, reply.json()["code"]) == (409, "voucher_exclusive")
    assert (await use(loyalty, alone[0], "SO-2")).status_code == 201
    assert (await use(loyalty, alone[0], "SO-2")).status_code == 200, "once more is no other"
    third = await given(loyalty, member_id, stackable=True)
    assert (await use(loyalty, third, "SO-2")).json()["code"] == "voucher_exclusive"


async def test_a_voucher_is_used_on_its_owners_own_order(loyalty: ServiceUnderTest) -> None:
    owner, other = await enrol(loyalty), await enrol(loyalty)
    voucher_id = await given(loyalty, owner)
    reply = await use(loyalty, voucher_id, await place(loyalty, other, paid_fen=30_000))
    assert (reply.status_code, reply.json()["code"]) == (409, "order_of_another_member")
    assert (await use(loyalty, voucher_id, "SO-LATER")).status_code == 201


async def test_of_several_vouchers_for_new_customers_one_is_used(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    first, second, third = [await given(loyalty, member_id, **NEWCOMERS) for _ in range(3)]
    basket = {
        "member_id": member_id,
        "items": [{"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 30_000}],
    }
    held = await loyalty.call("reserve_checkout", json={**basket, "voucher_ids": [first]})
    assert held.status_code == 201, held.text
    again = await loyalty.call("reserve_checkout", json={**basket, "voucher_ids": [second]})
    assert again.json()["facts"]["reason"] == "voucher_for_new_customers"
    assert (await use(loyalty, third, "SO-2")).json()["code"] == "voucher_for_new_customers"
    order = order_of(member_id, paid_fen=28_000, reservation_id=held.json()["id"])
    assert (await loyalty.call("record_order", json=order)).status_code == 201
    assert await state_of(loyalty, first) == "redeemed"
    assert (await use(loyalty, second, "SO-3")).json()["code"] == "voucher_for_new_customers"
    await cancel(loyalty, order["order_id"])
    assert (await use(loyalty, second, "SO-4")).status_code == 201
