"""Merging two members who are one person, on real PostgreSQL."""

from datetime import timedelta

import pytest

from services.loyalty.store.merges import has_more_orders
from services.loyalty.store.merges_moves import MOVES, STAYS
from services.loyalty.store.tables import metadata
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import (
    NOTHING,
    bought,
    indebted,
    known_as,
    lots_of,
    merge,
    merged,
    owner,
    reserve,
    totals,
)
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    order_of,
    place,
    points_of,
    redeem,
    refund,
    spendable,
    types_of_events,
    wallet_of,
)
from tests.integration.loyalty.vouchers_world import hear, reversal_due, reward_due, template
from tests.support.service import ServiceUnderTest, Starter

PHONE = {"kind": "phone", "value": "13800138000"}
USER = {"kind": "external", "value": "user-10086"}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_merge_moves_points_as_they_are_and_makes_none(loyalty: ServiceUnderTest) -> None:
    source = await spendable(loyalty, points=300)
    await bought(loyalty, source, points=40)
    target = await enrol(loyalty)
    await bought(loyalty, target, points=5)
    before = await totals(loyalty)
    lots = await lots_of(loyalty, source)

    reply = await merge(loyalty, target, source)

    assert reply["moved"] == {"available": 300, "pending": 40, "held": 0, "debt": 0}
    assert (reply["member_id"], reply["source_member_id"]) == (target, source)
    assert (reply["reversal"], reply["repaid_points"]) == (None, 0)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 300, "pending": 45}
    assert await points_of(loyalty, source) == NOTHING
    assert await totals(loyalty) == before
    assert lots.items() <= (await lots_of(loyalty, target)).items()
    assert await lots_of(loyalty, source) == {}
    await audit(loyalty)


async def test_identities_lead_to_the_target_and_the_source_says_where_it_lives(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await known_as(loyalty, PHONE), await known_as(loyalty, USER)
    await merge(loyalty, target, source)
    known = await loyalty.call("enrol_member", json={"identities": [PHONE]})
    assert (known.status_code, known.json()["id"]) == (200, target)
    assert len(known.json()["identities"]) == 2, "they are the target's own now"
    shown = (await loyalty.call("show_member", member_id=source)).json()
    assert (shown["state"], shown["merged_into"]) == ("merged", target)
    refused = [
        await loyalty.call("record_order", json=order_of(source, paid_fen=100)),
        await redeem(loyalty, source, points=1),
        await loyalty.call("update_member_profile", member_id=source, json={"city": "杭州"}),
    ]
    for reply in refused:
        assert (reply.status_code, reply.json()["code"]) == (409, "member_merged")
        assert target in reply.json()["detail"]
    statement = await loyalty.call("list_point_entries", member_id=source)
    assert statement.status_code == 200


async def test_a_later_refund_of_a_source_order_takes_from_its_own_lot_at_the_target(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await spendable(loyalty, points=500)
    order_id = await bought(loyalty, source, points=200)
    await merge(loyalty, target, source)
    answer = await refund(loyalty, order_id, amount_fen=5_000)
    assert answer["points"]["clawed_back"] == 50
    assert await points_of(loyalty, target) == {**NOTHING, "available": 500, "pending": 150}
    await refund(loyalty, order_id, amount_fen=15_000)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 500}
    assert (await wallet_of(loyalty, target))["tier"]["growth"] == 500
    assert await owner(loyalty, "orders", "order_id", order_id) == target
    await audit(loyalty)


async def test_a_later_completion_of_a_source_order_makes_its_points_usable_in_time(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    order_id = await bought(loyalty, source, points=200)
    await merge(loyalty, target, source)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    assert await points_of(loyalty, target) == {**NOTHING, "available": 200}
    assert (await redeem(loyalty, target, points=200)).status_code == 201
    await audit(loyalty)


async def test_debt_moves_and_is_repaid_from_what_the_other_has(loyalty: ServiceUnderTest) -> None:
    debtor = await indebted(loyalty, points=80)
    target = await spendable(loyalty, points=300)
    reply = await merge(loyalty, target, debtor)
    assert (reply["moved"]["debt"], reply["repaid_points"]) == (80, 80)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 220}
    assert await points_of(loyalty, debtor) == NOTHING
    await audit(loyalty)


async def test_a_target_in_debt_is_repaid_by_the_sources_points(loyalty: ServiceUnderTest) -> None:
    target = await indebted(loyalty, points=80)
    source = await spendable(loyalty, points=300)
    await merge(loyalty, target, source)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 220}
    await audit(loyalty)


async def test_what_a_checkout_holds_goes_along_and_comes_back_to_the_target(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    reservation = await reserve(loyalty, source, points=600)
    await merge(loyalty, target, source)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 400, "held": 600}
    released = await loyalty.call("release_reservation", reservation_id=reservation)
    assert released.status_code == 204
    assert await points_of(loyalty, target) == {**NOTHING, "available": 1_000}
    assert await points_of(loyalty, source) == NOTHING
    await audit(loyalty)


async def test_what_a_checkout_holds_is_used_by_the_targets_order(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    reservation = await reserve(loyalty, source, points=600)
    await merge(loyalty, target, source)
    await place(loyalty, target, paid_fen=9_400, reservation_id=reservation)
    assert (await points_of(loyalty, target))["held"] == 0
    assert await owner(loyalty, "redemptions", "reference", reservation) == target
    await audit(loyalty)


async def test_growth_adds_up_and_lifts_the_tier(loyalty: ServiceUnderTest) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await place(loyalty, source, paid_fen=60_000)
    await place(loyalty, target, paid_fen=50_000)
    assert (await wallet_of(loyalty, target))["tier"]["code"] == "regular"
    reply = await merge(loyalty, target, source)
    tier = (await wallet_of(loyalty, target))["tier"]
    assert (tier["code"], tier["growth"]) == ("silver", 1_100)
    change = (await loyalty.rows("select * from tier_changes"))[-1]
    assert (change.member_id, change.cause_kind, change.cause_id) == (target, "merge", reply["id"])


async def test_the_higher_tier_stays(loyalty: ServiceUnderTest) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await place(loyalty, source, paid_fen=600_000)
    until = (await wallet_of(loyalty, source))["tier"]["valid_until"]
    await merge(loyalty, target, source)
    tier = (await wallet_of(loyalty, target))["tier"]
    assert (tier["code"], tier["valid_until"]) == ("gold", until)


async def test_vouchers_and_rewards_go_along_and_can_still_be_taken_back(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    issued = await loyalty.call(
        "issue_vouchers", template_id=await template(loyalty), json={"member_ids": [source]}
    )
    await hear(loyalty, reward_due(member_id=source))
    await merge(loyalty, target, source)
    listed = (await loyalty.call("list_member_vouchers", member_id=target)).json()["data"]
    assert len(listed) == 2
    assert issued.json()["vouchers"][0]["id"] in {one["id"] for one in listed}
    await hear(loyalty, reversal_due(member_id=source))
    reward = (await loyalty.rows("select * from rewards"))[0]
    assert (reward.member_id, reward.state, reward.outcome) == (target, "reversed", "voided")


async def test_the_targets_own_words_win_gaps_are_filled_and_the_later_consent_counts(
    loyalty: ServiceUnderTest,
) -> None:
    target = await enrol(
        loyalty, nickname="小红", tags=["新客"], consents={"sms": True, "wechat": True}
    )
    loyalty.clock.advance(timedelta(days=1))
    source = await enrol(
        loyalty, nickname="红姐", city="杭州", birthday="05-20", tags=["茶", "新客"],
        consents={"sms": False, "email": True},
    )  # fmt: skip
    await merge(loyalty, target, source)
    shown = (await loyalty.call("show_member", member_id=target)).json()
    assert (shown["nickname"], shown["city"], shown["birthday"]) == ("小红", "杭州", "05-20")
    assert shown["tags"] == ["新客", "茶"]
    assert {name: one["granted"] for name, one in shown["consents"].items()} == {
        "sms": False, "wechat": True, "email": True,
    }  # fmt: skip


async def test_ids_and_identities_resolve_to_the_last_of_a_chain(loyalty: ServiceUnderTest) -> None:
    first, second, third = (
        await known_as(loyalty, PHONE),
        await enrol(loyalty),
        await enrol(loyalty),
    )
    order_id = await bought(loyalty, first, points=70)
    await merge(loyalty, second, first)
    await merge(loyalty, third, second)
    assert (await loyalty.call("enrol_member", json={"identities": [PHONE]})).json()["id"] == third
    reply = await loyalty.call("record_order", json=order_of(first, paid_fen=100))
    assert third in reply.json()["detail"]
    await refund(loyalty, order_id, amount_fen=7_000)
    assert await points_of(loyalty, third) == NOTHING
    await audit(loyalty)


async def test_merges_that_cannot_be_change_nothing(loyalty: ServiceUnderTest) -> None:
    one, other, third = await enrol(loyalty), await enrol(loyalty), await enrol(loyalty)
    nobody = "mem_" + "0" * 26
    await merge(loyalty, one, other)
    before = await everything(loyalty)
    for target, source, status, code in [
        (one, one, 409, "merge_with_itself"),
        (one, other, 409, "member_merged"),
        (other, third, 409, "member_merged"),
        (other, one, 409, "member_merged"),
        (one, nobody, 404, "member_not_found"),
        (nobody, one, 404, "member_not_found"),
    ]:
        reply = await merged(loyalty, target, source)
        assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert await everything(loyalty) == before


async def test_the_same_key_gives_the_same_merge_and_both_subjects_hear_of_it(
    loyalty: ServiceUnderTest,
) -> None:
    target, source = await enrol(loyalty), await enrol(loyalty)
    body = {"source_member_id": source, "reason": "同一人"}
    replies = [
        await loyalty.call("merge_members", member_id=target, json=body, key="merge-1")
        for _ in range(2)
    ]
    assert replies[0].content == replies[1].content
    heard = await loyalty.rows(
        "select subject, data from outbox where type = 'member.merged.v1' order by subject"
    )
    assert [row.subject for row in heard] == sorted([target, source])
    assert heard[0].data == heard[1].data
    assert heard[0].data["merge_id"] == replies[0].json()["id"]
    listed = (await loyalty.call("list_member_merges", member_id=source)).json()
    assert listed["data"] == [replies[0].json()]
    assert "member.merged.v1" in await types_of_events(loyalty)


async def test_a_merge_without_a_key_or_a_reason_is_refused(loyalty: ServiceUnderTest) -> None:
    target, source = await enrol(loyalty), await enrol(loyalty)
    body = {"source_member_id": source, "reason": "同一人"}
    keyless = await loyalty.call("merge_members", member_id=target, json=body, key=None)
    assert keyless.json()["code"] == "idempotency_key_missing"
    silent = await loyalty.call(
        "merge_members", member_id=target, json={"source_member_id": source}
    )
    assert silent.status_code == 422


def test_every_table_of_a_member_moves_or_is_said_to_stay() -> None:
    keyed = {table.name for table in metadata.sorted_tables if "member_id" in table.columns}
    moved = {table for table, _ in MOVES.values()}
    assert moved | STAYS.keys() == keyed
    assert not moved & STAYS.keys()


async def test_of_two_answers_of_one_moment_the_targets_own_counts(
    loyalty: ServiceUnderTest,
) -> None:
    target = await enrol(loyalty, consents={"sms": False})
    source = await enrol(loyalty, consents={"sms": True})
    await merge(loyalty, target, source)
    shown = (await loyalty.call("show_member", member_id=target)).json()
    assert shown["consents"]["sms"]["granted"] is False


async def test_only_more_orders_than_the_limit_are_too_many(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    for _ in range(2):
        await place(loyalty, member_id, paid_fen=100)
    async with loyalty.database.reading() as session:
        assert not await has_more_orders(session, member_id=member_id, than=2)
        assert await has_more_orders(session, member_id=member_id, than=1)
