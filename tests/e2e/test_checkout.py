"""Journey: a basket is quoted, its voucher and points are reserved, and the order captures them."""

from typing import Any

from tests.e2e.storefront import Storefront
from tests.e2e.test_referral_sign_up import brought_together


def basket(member: str, **choice: Any) -> dict[str, Any]:
    line = {"sku": "TEA-250", "category": "tea", "quantity": 1, "amount_fen": 29_900}
    return {"member_id": member, "items": [line], **choice}


async def test_the_welcome_voucher_is_quoted_reserved_and_used_by_the_first_order(
    storefront: Storefront,
) -> None:
    _, referee, _ = await brought_together(storefront)
    voucher = (await storefront.vouchers(referee))[0]["id"]
    quoted = await storefront.post("/v1/checkout/quotes", basket(referee), expect=200)
    assert quoted["best"] == {"voucher_ids": [voucher], "discount_fen": 2_000}

    chosen = basket(referee, voucher_ids=[voucher])
    held = await storefront.post("/v1/checkout/reservations", chosen)
    assert held["payable_fen"] == 27_900
    assert (await storefront.wallet(referee))["vouchers"]["usable"] == 0

    await storefront.order(referee, paid_fen=27_900, reservation_id=held["id"])
    used = await storefront.vouchers(referee, state="redeemed")
    assert [one["id"] for one in used] == [voucher]


async def test_a_cancelled_checkout_gives_the_voucher_back(storefront: Storefront) -> None:
    _, referee, _ = await brought_together(storefront)
    voucher = (await storefront.vouchers(referee))[0]["id"]
    chosen = basket(referee, voucher_ids=[voucher])
    held = await storefront.post("/v1/checkout/reservations", chosen)
    released = await storefront.http.delete(f"/v1/checkout/reservations/{held['id']}")
    assert released.status_code == 204
    assert [one["id"] for one in await storefront.vouchers(referee)] == [voucher]
