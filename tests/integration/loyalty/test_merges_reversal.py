"""Taking a merge back: what goes back, what does not, and when it cannot be."""

from datetime import timedelta

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import (
    NOTHING,
    bought,
    erase,
    indebted,
    known_as,
    lots_of,
    merge,
    owner,
    part,
    parted,
    reserve,
    totals,
)
from tests.integration.loyalty.moves import adjust, decide
from tests.integration.loyalty.orders_world import cancelled, reserved
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
    wallet_of,
)
from tests.integration.loyalty.vouchers_world import (
    events,
    hear,
    reversal_due,
    reward_due,
    template,
)
from tests.support.service import ServiceUnderTest, Starter

PHONE = {"kind": "phone", "value": "13800138000"}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_what_was_not_used_goes_back_as_it_was(loyalty: ServiceUnderTest) -> None:
    source = await known_as(loyalty, PHONE, nickname="红姐", city="杭州", consents={"sms": True})
    await bought(loyalty, source, points=300, ready=True)
    await bought(loyalty, source, points=40)
    target = await enrol(loyalty, nickname="小红", consents={"sms": False})
    await bought(loyalty, target, points=5)
    lots, shown = await lots_of(loyalty, source), await profiles(loyalty, source, target)
    wallets = [await wallet_of(loyalty, one) for one in (source, target)]
    made = await merge(loyalty, target, source)

    reply = await part(loyalty, made["id"])

    assert reply["reversal"]["returned"] == {**NOTHING, "available": 300, "pending": 40}
    assert await lots_of(loyalty, source) == lots
    assert await profiles(loyalty, source, target) == shown
    assert [await wallet_of(loyalty, one) for one in (source, target)] == wallets
    known = await loyalty.call("enrol_member", json={"identities": [PHONE]})
    assert known.json()["id"] == source
    listed = (await loyalty.call("list_member_merges", member_id=target)).json()
    assert listed["data"] == [reply]
    heard = await loyalty.rows("select subject from outbox where type = 'member.unmerged.v1'")
    assert {row.subject for row in heard} == {source, target}
    await audit(loyalty)


async def test_an_adjustment_goes_where_its_points_are(loyalty: ServiceUnderTest) -> None:
    """Decided while both were one it stays with the survivor, in whichever state."""
    source, target = await enrol(loyalty), await enrol(loyalty)
    asked = [(await adjust(loyalty, source, 20_000 + n)).json()["id"] for n in range(5)]
    alone = (await adjust(loyalty, source, 50, key="alone")).json()["id"]
    before, approved, rejected, waiting, later = asked
    assert (await decide(loyalty, before, "approve")).status_code == 200
    loyalty.clock.advance(timedelta(seconds=1))
    made = await merge(loyalty, target, source)
    loyalty.clock.advance(timedelta(seconds=1))
    assert (await decide(loyalty, approved, "approve")).status_code == 200
    assert (await decide(loyalty, rejected, "reject")).status_code == 200

    await part(loyalty, made["id"])

    whose = {one: await owner(loyalty, "adjustments", "id", one) for one in [*asked, alone]}
    assert whose == {
        before: source, approved: target, rejected: target, waiting: source, later: source,
        alone: source,
    }  # fmt: skip
    assert (await points_of(loyalty, source))["available"] == 20_000 + 50
    assert (await points_of(loyalty, target))["available"] == 20_001
    assert (await decide(loyalty, later, "approve")).status_code == 200
    assert (await points_of(loyalty, source))["available"] == 40_054
    await audit(loyalty)


async def test_what_was_spent_meanwhile_is_gone_and_nothing_is_made_up(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=300), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    assert (await redeem(loyalty, target, points=120)).status_code == 201
    before = await totals(loyalty)
    await part(loyalty, made["id"])
    assert (await points_of(loyalty, source))["available"] == 180
    assert await points_of(loyalty, target) == NOTHING
    assert await totals(loyalty) == before
    await audit(loyalty)


async def test_refunds_and_completions_follow_the_order_back(loyalty: ServiceUnderTest) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    refunded = await bought(loyalty, source, points=200)
    completed = await bought(loyalty, source, points=50)
    made = await merge(loyalty, target, source)
    await refund(loyalty, refunded, amount_fen=2_000)
    await part(loyalty, made["id"])
    await refund(loyalty, refunded, amount_fen=18_000)
    await complete(loyalty, completed)
    loyalty.clock.advance(timedelta(days=7))
    assert await points_of(loyalty, source) == {**NOTHING, "available": 50}
    assert await points_of(loyalty, target) == NOTHING
    assert (await wallet_of(loyalty, source))["tier"]["growth"] == 50
    owners = await loyalty.rows("select distinct member_id from refunds")
    assert [row.member_id for row in owners] == [source]
    await audit(loyalty)


@pytest.mark.parametrize("debtor_is_source", [True, False])
async def test_debt_that_one_repaid_for_the_other_is_owed_again(
    loyalty: ServiceUnderTest, debtor_is_source: bool
) -> None:
    debtor = await indebted(loyalty, points=80)
    saver = await spendable(loyalty, points=300)
    source, target = (debtor, saver) if debtor_is_source else (saver, debtor)
    made = await merge(loyalty, target, source)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 220}
    await part(loyalty, made["id"])
    assert await points_of(loyalty, debtor) == {**NOTHING, "debt": 80}
    assert await points_of(loyalty, saver) == {**NOTHING, "available": 300}
    await audit(loyalty)


async def test_debt_made_by_refunds_of_the_sources_orders_goes_back_with_them(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    order_id = await bought(loyalty, source, points=200, ready=True)
    made = await merge(loyalty, target, source)
    await redeem(loyalty, target, points=200)
    await refund(loyalty, order_id, amount_fen=20_000)
    assert await points_of(loyalty, target) == {**NOTHING, "debt": 200}
    await part(loyalty, made["id"])
    assert await points_of(loyalty, source) == {**NOTHING, "debt": 200}
    assert await points_of(loyalty, target) == NOTHING
    await audit(loyalty)


async def test_the_targets_own_debt_stays_with_it(loyalty: ServiceUnderTest) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await bought(loyalty, source, points=60)
    order_id = await bought(loyalty, target, points=200, ready=True)
    made = await merge(loyalty, target, source)
    await redeem(loyalty, target, points=200)
    await refund(loyalty, order_id, amount_fen=20_000)
    await part(loyalty, made["id"])
    assert await points_of(loyalty, source) == {**NOTHING, "pending": 60}
    assert await points_of(loyalty, target) == {**NOTHING, "debt": 200}
    await audit(loyalty)


async def test_a_checkout_open_all_the_while_is_released_to_the_source(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    reservation = await reserve(loyalty, source, points=600)
    made = await merge(loyalty, target, source)
    await part(loyalty, made["id"])
    assert await points_of(loyalty, source) == {**NOTHING, "available": 400, "held": 600}
    released = await loyalty.call("release_reservation", reservation_id=reservation)
    assert released.status_code == 204
    assert await points_of(loyalty, source) == {**NOTHING, "available": 1_000}
    assert await points_of(loyalty, target) == NOTHING
    await audit(loyalty)


async def test_points_that_the_targets_checkout_holds_stay_with_it(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    reservation = await reserve(loyalty, target, points=600)
    await part(loyalty, made["id"])
    assert await points_of(loyalty, source) == {**NOTHING, "available": 400}
    assert await points_of(loyalty, target) == {**NOTHING, "held": 600}
    await loyalty.call("release_reservation", reservation_id=reservation)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 600}
    await audit(loyalty)


async def test_points_of_one_lot_that_both_have_are_one_lot_again_in_the_next_merge(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    reservation = await reserve(loyalty, target, points=600)
    await part(loyalty, made["id"])
    await loyalty.call("release_reservation", reservation_id=reservation)
    await merge(loyalty, target, source)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 1_000}
    assert await points_of(loyalty, source) == NOTHING
    await audit(loyalty)


async def test_points_that_stayed_with_the_target_move_on_and_back_with_it(
    loyalty: ServiceUnderTest,
) -> None:
    source = await spendable(loyalty, points=1_000)
    target, third = await enrol(loyalty), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    reservation = await reserve(loyalty, target, points=600)
    await part(loyalty, made["id"])
    await loyalty.call("release_reservation", reservation_id=reservation)
    onward = await merge(loyalty, third, target)
    assert await points_of(loyalty, third) == {**NOTHING, "available": 600}
    await part(loyalty, onward["id"])
    assert await points_of(loyalty, target) == {**NOTHING, "available": 600}
    assert await points_of(loyalty, source) == {**NOTHING, "available": 400}
    await audit(loyalty)


async def test_vouchers_go_back_but_for_those_the_targets_checkout_holds(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    issued = await loyalty.call(
        "issue_vouchers", template_id=await template(loyalty), json={"member_ids": [source]}
    )
    free = issued.json()["vouchers"][0]["id"]
    more = await loyalty.call(
        "issue_vouchers", template_id=await template(loyalty), json={"member_ids": [source]}
    )
    held = more.json()["vouchers"][0]["id"]
    made = await merge(loyalty, target, source)
    body = {
        "member_id": target,
        "items": [{"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 30_000}],
        "voucher_ids": [held],
    }
    assert (await loyalty.call("reserve_checkout", json=body)).status_code == 201
    await part(loyalty, made["id"])
    assert await owner(loyalty, "vouchers", "id", free) == source
    assert await owner(loyalty, "vouchers", "id", held) == target


@pytest.mark.parametrize("reported", ["before the reversal", "after it"])
async def test_a_voucher_used_on_the_targets_order_stays_and_comes_back_when_that_is_refunded(
    loyalty: ServiceUnderTest, reported: str
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    issued = await loyalty.call(
        "issue_vouchers", template_id=await template(loyalty), json={"member_ids": [source]}
    )
    used = issued.json()["vouchers"][0]["id"]
    made = await merge(loyalty, target, source)
    order = order_of(target, paid_fen=25_900)
    use = {"order_id": order["order_id"], "order_fen": 30_900}
    assert (await loyalty.call("redeem_voucher", voucher_id=used, json=use)).status_code == 201
    if reported == "before the reversal":
        assert (await loyalty.call("record_order", json=order)).status_code == 201
    await part(loyalty, made["id"])
    if reported == "after it":
        assert (await loyalty.call("record_order", json=order)).status_code == 201

    await refund(loyalty, order["order_id"], amount_fen=25_900)

    shown = (await loyalty.call("show_voucher", voucher_id=used)).json()
    assert (shown["state"], shown["member_id"]) == ("issued", target)
    (told,) = await events(loyalty, "voucher.restored.v1")
    assert (told["voucher_id"], told["member_id"]) == (used, target)


@pytest.mark.parametrize("reported", [True, False])
async def test_a_voucher_used_on_the_sources_own_order_goes_back_with_that(
    loyalty: ServiceUnderTest, reported: bool
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    issued = await loyalty.call(
        "issue_vouchers", template_id=await template(loyalty), json={"member_ids": [source]}
    )
    used = issued.json()["vouchers"][0]["id"]
    order = order_of(source, paid_fen=25_900)
    use = {"order_id": order["order_id"], "order_fen": 30_900}
    assert (await loyalty.call("redeem_voucher", voucher_id=used, json=use)).status_code == 201
    if reported:
        assert (await loyalty.call("record_order", json=order)).status_code == 201
    loyalty.clock.advance(timedelta(hours=1))
    await part(loyalty, (await merge(loyalty, target, source))["id"])
    if not reported:
        assert (await loyalty.call("record_order", json=order)).status_code == 201
    await refund(loyalty, order["order_id"], amount_fen=25_900)
    shown = (await loyalty.call("show_voucher", voucher_id=used)).json()
    assert (shown["state"], shown["member_id"]) == ("issued", source)


async def test_tiers_are_those_of_each_ones_own_growth_again(loyalty: ServiceUnderTest) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    lost = await place(loyalty, source, paid_fen=150_000)
    await place(loyalty, target, paid_fen=50_000)
    made = await merge(loyalty, target, source)
    await refund(loyalty, lost, amount_fen=100_000)
    await place(loyalty, target, paid_fen=60_000)
    await part(loyalty, made["id"])
    tiers = [(await wallet_of(loyalty, one))["tier"] for one in (source, target)]
    assert [(one["code"], one["growth"]) for one in tiers] == [("regular", 500), ("silver", 1_100)]


async def test_a_merge_is_taken_back_once_and_the_last_one_first(loyalty: ServiceUnderTest) -> None:
    target, one, other = [await enrol(loyalty) for _ in range(3)]
    first, second = await merge(loyalty, target, one), await merge(loyalty, target, other)
    before = await everything(loyalty)
    too_early = await parted(loyalty, first["id"])
    assert (too_early.status_code, too_early.json()["code"]) == (409, "merge_not_last")
    assert await everything(loyalty) == before
    await part(loyalty, second["id"])
    await part(loyalty, first["id"])
    before = await everything(loyalty)
    again = await parted(loyalty, first["id"])
    assert (again.status_code, again.json()["code"]) == (409, "merge_reversed")
    unknown = await parted(loyalty, "mrg_" + "0" * 26)
    assert unknown.status_code == 404
    assert await everything(loyalty) == before


async def test_a_chain_is_taken_back_link_by_link(loyalty: ServiceUnderTest) -> None:
    first = await spendable(loyalty, points=100)
    second, third = await enrol(loyalty), await enrol(loyalty)
    inner = await merge(loyalty, second, first)
    outer = await merge(loyalty, third, second)
    refused = await parted(loyalty, inner["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "merge_final")
    await part(loyalty, outer["id"])
    assert (await points_of(loyalty, second))["available"] == 100
    shown = (await loyalty.call("show_member", member_id=first)).json()
    assert shown["merged_into"] == second
    await part(loyalty, inner["id"])
    assert (await points_of(loyalty, first))["available"] == 100
    await audit(loyalty)


async def test_merged_parted_and_merged_the_other_way_each_keeps_the_own_lots(
    loyalty: ServiceUnderTest,
) -> None:
    one, other = await spendable(loyalty, points=100), await spendable(loyalty, points=30)
    await part(loyalty, (await merge(loyalty, one, other))["id"])
    await part(loyalty, (await merge(loyalty, other, one))["id"])
    await part(loyalty, (await merge(loyalty, one, other))["id"])
    assert (await points_of(loyalty, one))["available"] == 100
    assert (await points_of(loyalty, other))["available"] == 30
    await audit(loyalty)


async def test_a_merge_into_one_who_was_erased_is_final(loyalty: ServiceUnderTest) -> None:
    target, source = await enrol(loyalty), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    assert (await erase(loyalty, target)).status_code == 202
    refused = await parted(loyalty, made["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "merge_final")


async def profiles(loyalty: ServiceUnderTest, *member_ids: str) -> list[dict[str, object]]:
    """Members as shown, but for when they were last changed."""
    shown = [(await loyalty.call("show_member", member_id=one)).json() for one in member_ids]
    return [{name: one[name] for name in one if name != "updated_at"} for one in shown]


async def test_debt_made_by_cancelling_the_sources_order_goes_back_with_it(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    order_id = await bought(loyalty, source, points=200, ready=True)
    made = await merge(loyalty, target, source)
    await redeem(loyalty, target, points=200)
    await cancelled(loyalty, order_id)
    assert await points_of(loyalty, target) == {**NOTHING, "debt": 200}
    await part(loyalty, made["id"])
    assert await points_of(loyalty, source) == {**NOTHING, "debt": 200}
    assert await points_of(loyalty, target) == NOTHING
    await audit(loyalty)


async def test_a_reward_taken_back_while_the_targets_checkout_holds_it_stays_with_that(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await hear(loyalty, reward_due(member_id=source))
    held = str(await loyalty.scalar("select id from vouchers"))
    made = await merge(loyalty, target, source)
    await reserved(loyalty, target, voucher_ids=[held])
    await hear(loyalty, reversal_due(member_id=source))
    await part(loyalty, made["id"])
    assert await owner(loyalty, "vouchers", "id", held) == target


async def test_a_lot_that_both_have_ends_in_the_next_merge_when_the_later_of_the_two_would(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    reservation = await reserve(loyalty, target, points=600)
    await part(loyalty, made["id"])
    await loyalty.call("release_reservation", reservation_id=reservation)
    later = {"expires_at": "2029-01-01T00:00:00+08:00", "reason": "门店装修补偿"}
    assert (await loyalty.call("extend_lots", member_id=target, json=later)).status_code == 201
    await merge(loyalty, target, source)
    (lot,) = (await lots_of(loyalty, target)).values()
    assert (lot["remaining"], lot["expires_at"][:16]) == (1_000, "2028-12-31T16:00")


async def test_a_tier_whose_growth_only_aged_while_they_were_one_is_kept_apart_again(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await place(loyalty, source, paid_fen=150_000, paid_at="2025-12-01T12:00:00+08:00")
    made = await merge(loyalty, target, source)
    loyalty.clock.advance(timedelta(days=30))
    await part(loyalty, made["id"])
    tier = (await wallet_of(loyalty, source))["tier"]
    assert (tier["code"], tier["growth"]) == ("silver", 0)
