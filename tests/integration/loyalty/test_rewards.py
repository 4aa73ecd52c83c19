"""Rewards that referral asks for: a voucher each, once, and taken back whatever the order."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.loyalty.jobs import JOBS
from shared.contracts.envelope import EventData
from shared.jobs import run_due
from shared.sql import execute
from tests.integration.loyalty.vouchers_world import (
    events,
    hear,
    member,
    reversal_due,
    reward_due,
)
from tests.support.service import ServiceUnderTest, Starter

OUTCOMES = ("voucher.issued.v1", "voucher.voided.v1", "reward.refused.v1", "reward.reversed.v1")


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def _set_member(loyalty: ServiceUnderTest, member_id: str, **columns: Any) -> None:
    async with loyalty.database.begin(actor="test") as transaction:
        for name, value in columns.items():
            statement = text(f"update members set {name} = :value where id = :id")
            await execute(transaction.session, statement, {"value": value, "id": member_id})


async def _vouchers(loyalty: ServiceUnderTest, member_id: str) -> list[dict[str, Any]]:
    listed = await loyalty.call("list_member_vouchers", member_id=member_id)
    data: list[dict[str, Any]] = listed.json()["data"]
    return data


async def test_a_reward_puts_a_voucher_into_the_wallet(loyalty: ServiceUnderTest) -> None:
    member_id = await member(loyalty)

    await hear(loyalty, reward_due(member_id=member_id))

    (voucher,) = await _vouchers(loyalty, member_id)
    assert (voucher["amount_fen"], voucher["threshold_fen"]) == (2000, 9900)
    assert (voucher["state"], voucher["kind"]) == ("issued", "amount_off")
    assert voucher["source"] == {"kind": "referral_reward", "id": "rwd_1"}
    assert voucher["template"]["name"] == "推荐有礼 20 元券"
    (event,) = await events(loyalty, *OUTCOMES)
    assert (event["source_kind"], event["source_id"]) == ("referral_reward", "rwd_1")
    assert (event["voucher_id"], event["member_id"]) == (voucher["id"], member_id)


async def test_rewards_of_one_kind_come_from_one_template(loyalty: ServiceUnderTest) -> None:
    first, second = await member(loyalty), await member(loyalty)

    await hear(
        loyalty,
        reward_due(member_id=first, reward_id="rwd_1"),
        reward_due(member_id=second, reward_id="rwd_2"),
        reward_due(member_id=first, reward_id="rwd_3", amount_fen=5000),
    )

    templates = await loyalty.rows("select amount_fen, issued from voucher_templates order by 1")
    assert [tuple(row) for row in templates] == [(2000, 2), (5000, 1)]


async def test_a_repeated_reward_is_issued_once(loyalty: ServiceUnderTest) -> None:
    due = reward_due(member_id=await member(loyalty))

    await hear(loyalty, due, due)
    await hear(loyalty, due)

    assert len(await _vouchers(loyalty, due.beneficiary_id)) == 1
    assert len(await events(loyalty, "voucher.issued.v1")) == 1
    assert await loyalty.scalar("select issued from voucher_templates") == 1


async def test_reward_and_reversal_end_the_same_in_every_order_and_repetition(
    start: Starter,
) -> None:
    """Either way round, any number of times, together or apart: reversed, nothing to spend."""
    for order in sorted(set(itertools.permutations(["due", "due", "reversal", "reversal"]))):
        for together in (True, False):
            loyalty = await start("loyalty")
            member_id = await member(loyalty)
            facts: list[EventData] = [
                reward_due(member_id=member_id)
                if name == "due"
                else reversal_due(member_id=member_id)
                for name in order
            ]
            for batch in [facts] if together else [[fact] for fact in facts]:
                await hear(loyalty, *batch)

            (reward,) = await loyalty.rows("select state, reason from rewards")
            assert tuple(reward) == ("reversed", "order_refunded"), order
            states = {voucher["state"] for voucher in await _vouchers(loyalty, member_id)}
            assert states <= {"voided"}, order
            (told,) = await events(loyalty, "reward.reversed.v1")
            assert told["outcome"] == ("voided" if order[0] == "due" else "never_issued")


async def test_a_voided_voucher_can_no_longer_be_used(loyalty: ServiceUnderTest) -> None:
    member_id = await member(loyalty)
    await hear(loyalty, reward_due(member_id=member_id))
    (voucher,) = await _vouchers(loyalty, member_id)

    await hear(loyalty, reversal_due(member_id=member_id))
    refused = await loyalty.call(
        "redeem_voucher",
        voucher_id=voucher["id"],
        json={"order_id": "SO-1", "order_fen": 25_900},
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_voided")
    (voided,) = await events(loyalty, "voucher.voided.v1")
    assert (voided["voucher_id"], voided["reason"]) == (voucher["id"], "order_refunded")


async def test_a_used_reward_is_written_off_and_stays_used(loyalty: ServiceUnderTest) -> None:
    member_id = await member(loyalty)
    await hear(loyalty, reward_due(member_id=member_id))
    (voucher,) = await _vouchers(loyalty, member_id)
    order = {"order_id": "SO-1", "order_fen": 25_900}
    used = await loyalty.call("redeem_voucher", voucher_id=voucher["id"], json=order)
    assert used.status_code == 201

    await hear(loyalty, reversal_due(member_id=member_id), reversal_due(member_id=member_id))

    assert (await _vouchers(loyalty, member_id))[0]["state"] == "redeemed"
    (told,) = await events(loyalty, "reward.reversed.v1")
    assert (told["outcome"], told["voucher_id"]) == ("written_off", voucher["id"])
    assert await events(loyalty, "voucher.voided.v1") == []


@pytest.mark.parametrize("marked", [True, False])
async def test_an_expired_reward_is_voided_as_an_unused_one(
    loyalty: ServiceUnderTest, marked: bool
) -> None:
    """Whether the job has marked it as expired yet does not matter."""
    member_id = await member(loyalty)
    await hear(loyalty, reward_due(member_id=member_id))
    loyalty.clock.advance(timedelta(days=60))
    if marked:
        (job,) = [job for job in JOBS if job.name == "expire_vouchers"]
        assert await run_due(job, database=loyalty.database) == 1

    await hear(loyalty, reversal_due(member_id=member_id))

    assert (await _vouchers(loyalty, member_id))[0]["state"] == "voided"


async def test_a_reward_held_by_a_checkout_is_frozen_and_its_outcome_open(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member(loyalty)
    await hear(loyalty, reward_due(member_id=member_id))
    async with loyalty.database.begin(actor="test") as transaction:
        await execute(transaction.session, text("update vouchers set state = 'held'"))

    await hear(loyalty, reversal_due(member_id=member_id))

    assert (await _vouchers(loyalty, member_id))[0]["state"] == "frozen"
    assert tuple((await loyalty.rows("select state, outcome from rewards"))[0]) == (
        "reversed",
        None,
    )
    assert await events(loyalty, "reward.reversed.v1", "voucher.voided.v1") == []


async def test_a_merged_members_reward_goes_to_the_one_who_lives_on(
    loyalty: ServiceUnderTest,
) -> None:
    first, second, third = [await member(loyalty) for _ in range(3)]
    await _set_member(loyalty, first, state="merged", merged_into=second)
    await _set_member(loyalty, second, state="merged", merged_into=third)

    await hear(loyalty, reward_due(member_id=first))

    assert len(await _vouchers(loyalty, third)) == 1
    assert await _vouchers(loyalty, first) == []
    (event,) = await events(loyalty, *OUTCOMES)
    assert event["member_id"] == third


async def test_a_reward_for_nobody_is_refused_for_good(loyalty: ServiceUnderTest) -> None:
    erased = await member(loyalty)
    await _set_member(loyalty, erased, state="erased")
    nobody = "mem_00000000000000000000000000"

    for _ in range(2):
        await hear(
            loyalty,
            reward_due(member_id=erased, reward_id="rwd_1"),
            reward_due(member_id=nobody, reward_id="rwd_2"),
        )

    told = await events(loyalty, *OUTCOMES)
    assert [(one["reward_id"], one["reason"]) for one in told] == [
        ("rwd_1", "member_erased"),
        ("rwd_2", "member_unknown"),
    ]
    assert await loyalty.scalar("select count(*) from vouchers") == 0


async def test_a_refused_reward_ends_the_same_whichever_comes_first(start: Starter) -> None:
    nobody = "mem_00000000000000000000000000"
    facts = [reward_due(member_id=nobody), reversal_due(member_id=nobody)]

    ends = []
    for order in (facts, facts[::-1]):
        loyalty = await start("loyalty")
        for fact in order:
            await hear(loyalty, fact)
        ends.append([tuple(r) for r in await loyalty.rows("select state, outcome from rewards")])

    assert ends == [[("reversed", "never_issued")]] * 2
