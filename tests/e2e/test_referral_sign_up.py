"""Journey: a member shares a code, a friend enrols with it, buys, and perhaps returns it."""

from typing import Any

from tests.e2e.storefront import Storefront


def amounts(page: Any) -> list[int]:
    return sorted(voucher["amount_fen"] for voucher in page["data"])


async def test_both_get_20_yuan_and_the_referrer_50_more_after_the_first_order(
    storefront: Storefront,
) -> None:
    referrer, referee, _ = await brought_together(storefront)
    await storefront.order(referee, paid_fen=29_900)
    await eventually_has(storefront, referrer, [2_000, 5_000])
    await eventually_has(storefront, referee, [2_000])
    referrals = await storefront.eventually(
        f"/v1/members/{referrer}/referrals",
        lambda page: [r["state"] for r in page["data"]] == ["completed"],
    )
    rewards = referrals["data"][0]["rewards"]
    assert sorted((r["stage"], r["amount_fen"], r["state"]) for r in rewards) == [
        ("enrolled", 2_000, "issued"),
        ("enrolled", 2_000, "issued"),
        ("first_order", 5_000, "issued"),
    ]


async def test_a_second_order_brings_nothing_more(storefront: Storefront) -> None:
    referrer, referee, _ = await brought_together(storefront)
    await storefront.order(referee, paid_fen=10_000)
    await eventually_has(storefront, referrer, [2_000, 5_000])
    await storefront.order(referee, paid_fen=20_000)
    # A later referral of the same referrer has passed all the same queues when it shows.
    another = await storefront.enrol(referral_code=await storefront.referral_code(referrer))
    await eventually_has(storefront, another, [2_000])
    await eventually_has(storefront, referrer, [2_000, 2_000, 5_000])


async def test_a_refund_in_full_takes_the_50_yuan_back_and_a_next_order_brings_it_again(
    storefront: Storefront,
) -> None:
    referrer, referee, _ = await brought_together(storefront)
    first = await storefront.order(referee, paid_fen=29_900)
    await eventually_has(storefront, referrer, [2_000, 5_000])
    await storefront.refund(first, amount_fen=29_900)
    await eventually_has(storefront, referrer, [2_000])
    await storefront.order(referee, paid_fen=15_000)
    await eventually_has(storefront, referrer, [2_000, 5_000])


async def test_a_code_that_nobody_has_does_not_hinder_enrolment(storefront: Storefront) -> None:
    member = await storefront.enrol(referral_code="ZZZZZZZZZ")
    assert (await storefront.wallet(member))["vouchers"]["usable"] == 0


async def brought_together(storefront: Storefront) -> tuple[str, str, str]:
    """A referrer, the referee they brought, and the code; both have their first voucher."""
    referrer = await storefront.enrol(nickname="小雅")
    code = await storefront.referral_code(referrer)
    referee = await storefront.enrol(nickname="小波", referral_code=code)
    await eventually_has(storefront, referrer, [2_000])
    await eventually_has(storefront, referee, [2_000])
    return referrer, referee, code


async def eventually_has(storefront: Storefront, member: str, expected: list[int]) -> None:
    """Wait until a member's usable vouchers are of exactly these amounts."""
    await storefront.eventually(
        f"/v1/members/{member}/vouchers",
        lambda page: amounts(page) == expected,
        state="issued",
    )
