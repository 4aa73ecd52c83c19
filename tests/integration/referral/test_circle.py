"""The circle: a newcomer enrols with a code and buys; both are rewarded, by stages."""

from datetime import timedelta

from shared.contracts.loyalty import VoucherVoided
from tests.integration.referral.loyalty_played import (
    DAY,
    Circle,
    completed,
    imported,
    paid,
    refunded,
)
from tests.support.service import NOON

TWENTY_EACH = [
    ("enrolled", "referrer", 2_000, "issued"),
    ("enrolled", "referee", 2_000, "issued"),
]
FIFTY = ("first_order", "referrer", 5_000, "issued")


async def test_both_get_20_yuan_when_a_newcomer_enrols_with_a_code(circle: Circle) -> None:
    await circle.enrol()
    referral = await circle.of_referee()
    assert referral["state"] == "enrolled"
    assert referral["referrer"] == circle.referrer
    assert referral["code"] == circle.code
    assert referral["reasons"] == []
    assert await circle.rewards() == TWENTY_EACH
    assert [reward["beneficiary"] for reward in referral["rewards"]] == [
        circle.referrer,
        circle.referee,
    ]


async def test_rewards_are_issuing_until_loyalty_says_that_they_are_issued(circle: Circle) -> None:
    await circle.enrol()
    await circle.loyalty.tell(paid(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "qualified"
    assert ("first_order", "referrer", 5_000, "issuing") in await circle.rewards()
    await circle.loyalty.answer()
    assert (await circle.of_referee())["state"] == "completed"
    assert await circle.rewards() == [*TWENTY_EACH, FIFTY]


async def test_a_second_order_brings_nothing_more(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    await circle.tell(paid(circle.referee, "SO-2", at=NOON + 2 * DAY))
    assert await circle.rewards(live=False) == [*TWENTY_EACH, FIFTY]
    assert (await circle.of_referee())["first_order_id"] == "SO-1"


async def test_a_full_refund_of_the_only_order_takes_the_50_yuan_back(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    await circle.tell(refunded(circle.referee, "SO-1"))
    referral = await circle.of_referee()
    assert referral["state"] == "reversed"
    assert referral["first_order_id"] is None
    assert await circle.rewards() == TWENTY_EACH
    assert circle.loyalty.usable(circle.referrer) == 1
    (lost,) = [one for one in referral["rewards"] if one["state"] == "reversed"]
    assert (lost["reason"], lost["voucher_state"]) == ("first_order_refunded", "voided")


async def test_refunds_in_parts_that_make_up_the_whole_take_it_back_too(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1", fen=10_000))
    await circle.tell(refunded(circle.referee, "SO-1", fen=4_000, in_full=False, refund="R-1"))
    assert (await circle.of_referee())["state"] == "completed"
    await circle.tell(refunded(circle.referee, "SO-1", fen=6_000, in_full=False, refund="R-2"))
    assert (await circle.of_referee())["state"] == "reversed"


async def test_when_the_first_order_is_refunded_the_next_takes_its_place(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"), paid(circle.referee, "SO-2", at=NOON + 2 * DAY))
    await circle.tell(refunded(circle.referee, "SO-1"))
    assert (await circle.of_referee())["first_order_id"] == "SO-2"
    assert await circle.rewards(live=False) == [*TWENTY_EACH, FIFTY]


async def test_a_reversed_stage_that_is_reached_again_is_granted_again_once(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    await circle.tell(refunded(circle.referee, "SO-1"))
    await circle.tell(paid(circle.referee, "SO-2", at=NOON + 9 * DAY))
    assert (await circle.of_referee())["state"] == "completed"
    assert await circle.rewards() == [*TWENTY_EACH, FIFTY]
    assert circle.loyalty.usable(circle.referrer) == 2


async def test_a_new_reward_waits_until_it_is_known_what_became_of_the_old(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    await circle.loyalty.tell(
        refunded(circle.referee, "SO-1"), paid(circle.referee, "SO-2", at=NOON + 9 * DAY)
    )
    assert ("first_order", "referrer", 5_000, "pending") in await circle.rewards()
    await circle.loyalty.answer()
    assert FIFTY in await circle.rewards()
    assert circle.loyalty.usable(circle.referrer) == 2


async def test_a_used_voucher_of_a_reversed_reward_is_not_paid_a_second_time(
    circle: Circle,
) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    (fifty,) = [
        one for one in (await circle.of_referee())["rewards"] if one["stage"] == "first_order"
    ]
    await circle.loyalty.use(fifty["id"])
    await circle.tell(refunded(circle.referee, "SO-1"))
    await circle.tell(paid(circle.referee, "SO-2", at=NOON + 9 * DAY))
    assert FIFTY in await circle.rewards()
    assert circle.loyalty.usable(circle.referrer) == 1  # the 20 yuan only
    again = (await circle.of_referee())["rewards"][-1]
    assert (again["voucher_id"], again["voucher_state"]) == (fifty["voucher_id"], "redeemed")
    await circle.tell(refunded(circle.referee, "SO-2"))
    assert await circle.rewards() == TWENTY_EACH


async def test_a_refund_before_its_order_is_kept_until_the_order_comes(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(refunded(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "enrolled"
    await circle.tell(paid(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "reversed"
    assert await circle.rewards(live=False) == TWENTY_EACH
    assert await circle.parked() == 0


async def test_orders_that_come_before_the_enrolment_count(circle: Circle) -> None:
    await circle.tell(paid(circle.referee, "SO-1"))
    await circle.enrol()
    assert (await circle.of_referee())["state"] == "completed"
    assert await circle.rewards() == [*TWENTY_EACH, FIFTY]


async def test_an_older_order_that_comes_late_is_the_first_one(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-2", at=NOON + 2 * DAY))
    await circle.tell(paid(circle.referee, "SO-1", at=NOON + 1 * DAY))
    assert (await circle.of_referee())["first_order_id"] == "SO-1"
    assert await circle.rewards(live=False) == [*TWENTY_EACH, FIFTY]


async def test_an_order_of_before_the_enrolment_shows_that_the_customer_is_not_new(
    circle: Circle,
) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-2"))
    await circle.tell(imported((circle.referee, "OLD-1", NOON - timedelta(days=400))))
    referral = await circle.of_referee()
    assert (referral["state"], referral["reasons"]) == ("rejected", ["existing_customer"])
    assert await circle.rewards() == []
    assert circle.loyalty.usable(circle.referrer) == 0
    assert circle.loyalty.usable(circle.referee) == 0


async def test_an_import_refunded_in_full_does_not_qualify(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(imported((circle.referee, "IMP-1", NOON + DAY), refunded_fen=9_900))
    assert (await circle.of_referee())["state"] == "reversed"
    assert await circle.rewards(live=False) == TWENTY_EACH


async def test_completion_does_not_matter_to_a_programme_that_pays_on_payment(
    circle: Circle,
) -> None:
    await circle.enrol()
    await circle.tell(completed(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "enrolled"
    await circle.tell(paid(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "completed"


async def test_a_voucher_that_an_operator_voids_is_not_issued_again(circle: Circle) -> None:
    await circle.enrol()
    reward = (await circle.of_referee())["rewards"][0]
    await circle.tell(
        VoucherVoided(
            voucher_id=reward["voucher_id"],
            member_id=circle.referrer,
            source_kind="referral_reward",
            source_id=reward["id"],
            reason="operator",
        )
    )
    await circle.tell(paid(circle.referee, "SO-1"))
    assert await circle.rewards(live=False) == [*TWENTY_EACH, FIFTY]
    assert (await circle.of_referee())["rewards"][0]["voucher_state"] == "voided"


async def test_a_reward_that_loyalty_refuses_is_not_asked_for_again(circle: Circle) -> None:
    circle.loyalty.erased.add(circle.referrer)
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    assert await circle.rewards() == [("enrolled", "referee", 2_000, "issued")]
    assert (await circle.of_referee())["state"] == "completed"
    asked = await circle.referral.scalar(
        "select count(*) from outbox where type = 'referral.reward_due.v1'"
    )
    assert asked == 3
