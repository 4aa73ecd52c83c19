"""The circle with the real loyalty at the other end: both services keep each other's contract."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from shared.kernel.clock import FixedClock, rfc3339
from tests.support.service import NOON, ServiceUnderTest, Starter
from tests.support.serving import serving


@dataclass
class Shop:
    """Both services, one clock, and a storefront that calls them."""

    loyalty: ServiceUnderTest
    referral: ServiceUnderTest
    clock: FixedClock

    async def settle(self) -> None:
        """Each hears the other until neither has anything to say."""
        while await self.referral.hear(self.loyalty) + await self.loyalty.hear(self.referral):
            pass

    async def enrol(self, name: str, *, code: str | None = None) -> str:
        body: dict[str, Any] = {"identities": [{"kind": "external", "value": name}]}
        if code is not None:
            body["referral_code"] = code
        reply = await self.loyalty.call("enrol_member", json=body)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    async def order(self, member: str, order: str, *, fen: int = 29_900, **more: str) -> None:
        self.clock.advance(timedelta(minutes=1))
        body = {
            "order_id": order,
            "member_id": member,
            "paid_fen": fen,
            "items": [{"sku": "TEA-250", "quantity": 1, "paid_fen": fen}],
            "paid_at": rfc3339(self.clock.now()),
            **more,
        }
        reply = await self.loyalty.call("record_order", json=body)
        assert reply.status_code == 201, reply.text

    async def refund(self, order: str, *, fen: int = 29_900) -> None:
        body = {
            "refund_id": f"{order}-r",
            "amount_fen": fen,
            "refunded_at": rfc3339(self.clock.now()),
        }
        reply = await self.loyalty.call("refund_order", order_id=order, json=body)
        assert reply.status_code == 201, reply.text

    async def cancel(self, order: str) -> None:
        body = {"cancelled_at": rfc3339(self.clock.now())}
        reply = await self.loyalty.call("cancel_order", order_id=order, json=body)
        assert reply.status_code == 201, reply.text

    async def voucher_state(self, referee: str, voucher: str) -> str:
        """What referral believes of a reward's voucher."""
        rewards = (await self.referral_of(referee))["rewards"]
        (found,) = [one["voucher_state"] for one in rewards if one["voucher_id"] == voucher]
        return str(found)

    async def code(self, member: str) -> str:
        reply = await self.referral.call("show_referral_code", member_id=member)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["code"])

    async def referral_of(self, referee: str) -> dict[str, Any]:
        page = (await self.referral.call("list_referrals")).json()["data"]
        (found,) = [one for one in page if one["referee"] == referee]
        return dict(found)

    async def vouchers(self, member: str) -> list[dict[str, Any]]:
        """A member's usable vouchers, the smaller first."""
        reply = await self.loyalty.call(
            "list_member_vouchers", member_id=member, params={"state": "issued"}
        )
        found: list[dict[str, Any]] = reply.json()["data"]
        return sorted(found, key=lambda one: int(one["amount_fen"]))

    async def amounts(self, member: str) -> list[int]:
        return [one["amount_fen"] for one in await self.vouchers(member)]

    async def nothing_is_parked(self) -> bool:
        counts = [
            await service.scalar("select count(*) from parked_events")
            for service in (self.loyalty, self.referral)
        ]
        return counts == [0, 0]


@pytest.fixture
async def shop(start: Starter) -> Shop:
    clock = FixedClock(NOON)
    loyalty = await start("loyalty", clock=clock)
    referral = await start("referral", clock=clock)
    return Shop(loyalty=loyalty, referral=referral, clock=clock)


@pytest.fixture
async def pair(shop: Shop) -> tuple[str, str]:
    """小雅, and 小波 whom she brought; both have their 20 yuan."""
    referrer = await shop.enrol("xiaoya")
    await shop.settle()
    referee = await shop.enrol("xiaobo", code=await shop.code(referrer))
    await shop.settle()
    assert await shop.amounts(referrer) == await shop.amounts(referee) == [2_000]
    return referrer, referee


async def test_the_whole_circle(shop: Shop, pair: tuple[str, str]) -> None:
    referrer, referee = pair
    await shop.order(referee, "SO-1")
    await shop.settle()
    assert await shop.amounts(referrer) == [2_000, 5_000]
    found = await shop.referral_of(referee)
    assert found["state"] == "completed"
    vouchers = {one["id"] for one in await shop.vouchers(referrer)}
    vouchers |= {one["id"] for one in await shop.vouchers(referee)}
    assert {reward["voucher_id"] for reward in found["rewards"]} == vouchers

    await shop.refund("SO-1")
    await shop.settle()
    assert await shop.amounts(referrer) == [2_000]
    assert (await shop.referral_of(referee))["state"] == "reversed"

    await shop.order(referee, "SO-2", fen=9_900)
    await shop.settle()
    assert await shop.amounts(referrer) == [2_000, 5_000]
    assert (await shop.referral_of(referee))["state"] == "completed"
    assert await shop.nothing_is_parked()


async def test_a_used_reward_is_not_paid_a_second_time(shop: Shop, pair: tuple[str, str]) -> None:
    referrer, referee = pair
    await shop.order(referee, "SO-1")
    await shop.settle()
    _, fifty = await shop.vouchers(referrer)
    await shop.order(referrer, "SO-A", fen=10_000)
    used = await shop.loyalty.call(
        "redeem_voucher", voucher_id=fifty["id"], json={"order_id": "SO-A", "order_fen": 10_000}
    )
    assert used.status_code == 201, used.text
    await shop.refund("SO-1")
    await shop.order(referee, "SO-2")
    await shop.settle()
    assert await shop.amounts(referrer) == [2_000]
    found = await shop.referral_of(referee)
    assert found["state"] == "completed"
    last = found["rewards"][-1]
    assert (last["state"], last["voucher_id"], last["voucher_state"]) == (
        "issued",
        fifty["id"],
        "redeemed",
    )
    assert await shop.nothing_is_parked()


async def test_a_cancelled_first_order_is_no_first_order(shop: Shop, pair: tuple[str, str]) -> None:
    referrer, referee = pair
    await shop.order(referee, "SO-1")
    await shop.settle()
    await shop.cancel("SO-1")
    await shop.settle()
    assert await shop.amounts(referrer) == [2_000]
    assert (await shop.referral_of(referee))["state"] == "reversed"
    assert await shop.nothing_is_parked()


async def test_a_used_reward_whose_order_is_cancelled_can_be_used_again(
    shop: Shop, pair: tuple[str, str]
) -> None:
    _, referee = pair
    (twenty,) = await shop.vouchers(referee)
    await shop.order(referee, "SO-1", fen=10_000)
    used = await shop.loyalty.call(
        "redeem_voucher", voucher_id=twenty["id"], json={"order_id": "SO-1", "order_fen": 10_000}
    )
    assert used.status_code == 201, used.text
    await shop.settle()
    assert await shop.voucher_state(referee, twenty["id"]) == "redeemed"
    await shop.cancel("SO-1")
    await shop.settle()
    assert await shop.amounts(referee) == [2_000]
    assert await shop.voucher_state(referee, twenty["id"]) == "issued"
    assert await shop.nothing_is_parked()


@pytest.mark.parametrize("bought", [True, False], ids=["bought", "left"])
async def test_a_new_reward_waits_for_the_checkout_that_holds_the_old_one(
    shop: Shop, pair: tuple[str, str], bought: bool
) -> None:
    referrer, referee = pair
    await shop.order(referee, "SO-1")
    await shop.settle()
    _, fifty = await shop.vouchers(referrer)
    basket = [{"sku": "TEA-250", "quantity": 1, "amount_fen": 10_000}]
    reply = await shop.loyalty.call(
        "reserve_checkout",
        json={"member_id": referrer, "items": basket, "voucher_ids": [fifty["id"]]},
    )
    assert reply.status_code == 201, reply.text
    await shop.refund("SO-1")
    await shop.order(referee, "SO-2")
    await shop.settle()
    assert (await shop.referral_of(referee))["rewards"][-1]["state"] == "pending"

    reservation = reply.json()["id"]
    if bought:
        fen = reply.json()["payable_fen"]
        await shop.order(referrer, "SO-A", fen=fen, reservation_id=reservation)
    else:
        left = await shop.loyalty.call("release_reservation", reservation_id=reservation)
        assert left.is_success, left.text
    await shop.settle()
    found = await shop.referral_of(referee)
    assert (found["state"], found["rewards"][-1]["state"]) == ("completed", "issued")
    assert await shop.amounts(referrer) == ([2_000] if bought else [2_000, 5_000])
    assert await shop.nothing_is_parked()


async def test_a_refund_before_its_order_leaves_no_reward(
    shop: Shop, pair: tuple[str, str]
) -> None:
    referrer, referee = pair
    await shop.refund("SO-1")
    await shop.order(referee, "SO-1")
    await shop.settle()
    assert await shop.amounts(referrer) == [2_000]
    assert (await shop.referral_of(referee))["state"] == "reversed"
    assert await shop.nothing_is_parked()


async def test_reading_both_logs_again_changes_nothing(shop: Shop, pair: tuple[str, str]) -> None:
    referrer, referee = pair
    await shop.order(referee, "SO-1")
    await shop.settle()
    await shop.refund("SO-1")
    await shop.order(referee, "SO-2")
    await shop.settle()
    before = (await shop.referral_of(referee), await shop.vouchers(referrer))
    for service, producer in ((shop.referral, "loyalty"), (shop.loyalty, "referral")):
        reply = await service.call(f"rewind_{service.name}_subscription", producer=producer)
        assert reply.is_success, reply.text
    await shop.settle()
    assert (await shop.referral_of(referee), await shop.vouchers(referrer)) == before
    assert await shop.nothing_is_parked()


async def test_a_member_whose_enrolment_is_still_on_its_way_has_a_code(start: Starter) -> None:
    loyalty = await start("loyalty")
    async with serving(loyalty.app) as url:
        referral = await start("referral", loyalty_url=url)
        shop = Shop(loyalty=loyalty, referral=referral, clock=loyalty.clock)
        member = await shop.enrol("xiaoya")
        assert await shop.code(member)
        nobody = await referral.call(
            "show_referral_code", member_id="mem_00000000000000000000000000"
        )
        assert nobody.status_code == 404


async def test_who_was_erased_and_comes_again_brings_nobody_a_reward_a_second_time(
    shop: Shop,
) -> None:
    """Else one person would be a newcomer as often as they like, at 90 yuan each time."""
    referrer = await shop.enrol("xiaoya")
    await shop.settle()
    code = await shop.code(referrer)
    first = await shop.enrol("xiaobo", code=code)
    await shop.order(first, "SO-1")
    await shop.settle()
    before = await shop.amounts(referrer)
    assert (await shop.loyalty.call("erase_member", member_id=first)).status_code == 202
    await shop.settle()

    again = await shop.enrol("xiaobo", code=code)
    await shop.order(again, "SO-2")
    await shop.settle()

    referral = await shop.referral_of(again)
    assert (referral["state"], referral["reasons"]) == ("rejected", ["existing_customer"])
    assert await shop.amounts(again) == []
    assert await shop.amounts(referrer) == before
    assert await shop.nothing_is_parked()


async def test_what_leads_to_an_erased_person_goes_and_their_code_brings_nobody(
    shop: Shop,
) -> None:
    body = {"identities": [{"kind": "external", "value": "xiaoya"}], "device_id": "dev-1"}
    referrer = str((await shop.loyalty.call("enrol_member", json=body)).json()["id"])
    await shop.order(referrer, "SO-1", device_id="dev-1", payer_id="payer-1")
    await shop.settle()
    code = await shop.code(referrer)
    assert await traces(shop.referral) == 3

    assert (await shop.loyalty.call("erase_member", member_id=referrer)).status_code == 202
    await shop.settle()

    assert await traces(shop.referral) == 0
    gone = await shop.referral.call("show_referral_code", member_id=referrer)
    assert gone.status_code == 503, "unknown here by now, and loyalty cannot be asked in this test"
    newcomer = await shop.enrol("xiaobo", code=code)
    await shop.settle()
    assert (await shop.referral_of(newcomer))["reasons"] == ["unknown_code"]
    assert await shop.nothing_is_parked()


async def traces(referral: ServiceUnderTest) -> int:
    """How many things are kept by which a person could be found."""
    counted = await referral.scalar(
        "select (select count(device_id) from member_facts)"
        " + (select count(device_id) + count(payer_hash) from order_facts)"
    )
    return int(counted)
