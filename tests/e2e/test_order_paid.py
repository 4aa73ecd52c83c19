"""Journey: an order is paid, completed and refunded; points, growth, tier and segment follow."""

import asyncio

from tests.e2e.storefront import Storefront, now


async def test_an_order_earns_pending_points_growth_and_a_tier_at_once(
    storefront: Storefront,
) -> None:
    member = await storefront.enrol()
    order = await storefront.order(member, paid_fen=120_050)
    wallet = await storefront.wallet(member)
    assert wallet["points"]["pending"] == 1_200
    assert wallet["points"]["available"] == 0
    assert wallet["tier"]["code"] == "silver"
    assert wallet["tier"]["growth"] == 1_200
    await storefront.post(f"/v1/orders/{order}/completion", {"completed_at": now()}, expect=200)
    # The seven days of hold have only begun.
    assert (await storefront.wallet(member))["points"]["available"] == 0


async def test_points_of_an_order_completed_long_ago_can_be_spent_once(
    storefront: Storefront,
) -> None:
    member = await member_with_points(storefront, 100)
    path = f"/v1/members/{member}/points/redemptions"
    body = {"points": 100, "purpose": "order_discount", "reference": "order-1"}
    replies = await asyncio.gather(*(storefront.send(path, body) for _ in range(100)))
    statuses = sorted(reply.status_code for reply in replies)
    assert statuses == [201, *[409] * 99]
    refused = next(reply for reply in replies if reply.status_code == 409)
    assert refused.json()["code"] == "insufficient_points"
    wallet = await storefront.wallet(member)
    assert (wallet["points"]["available"], wallet["points"]["debt"]) == (0, 0)


async def test_the_same_key_sent_100_times_at_once_spends_once_and_answers_alike(
    storefront: Storefront,
) -> None:
    member = await member_with_points(storefront, 500)
    path = f"/v1/members/{member}/points/redemptions"
    body = {"points": 100, "purpose": "order_discount", "reference": "order-2"}
    key = storefront.fresh("key")
    replies = await asyncio.gather(*(storefront.send(path, body, key=key) for _ in range(100)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.content for reply in replies}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in replies) == 1
    assert (await storefront.wallet(member))["points"]["available"] == 400


async def test_an_order_moves_the_member_into_a_segment(storefront: Storefront) -> None:
    member = await storefront.enrol()
    path = f"/v1/members/{member}/segment"
    assert (await storefront.get(path))["segment"] == "prospect"
    await storefront.order(member, paid_fen=50_000)
    scored = await storefront.eventually(path, lambda found: found["frequency"] == 1)
    assert scored["monetary_fen"] == 50_000
    assert scored["segment"] != "prospect"


async def test_a_refund_before_its_order_leaves_no_points(storefront: Storefront) -> None:
    member = await storefront.enrol()
    order_id = storefront.fresh("order")
    await storefront.refund(order_id, amount_fen=29_900)
    await storefront.post(
        "/v1/orders",
        {
            "order_id": order_id,
            "member_id": member,
            "paid_fen": 29_900,
            "items": [{"sku": "TEA-250", "quantity": 1, "paid_fen": 29_900}],
            "paid_at": now(),
        },
    )
    wallet = await storefront.wallet(member)
    assert (wallet["points"]["pending"], wallet["tier"]["growth"]) == (0, 0)


async def member_with_points(storefront: Storefront, points: int) -> str:
    """A member whose order of long ago has been completed and whose hold is over."""
    member = await storefront.enrol()
    order = await storefront.order(
        member, paid_fen=points * 100, paid_at="2026-01-05T12:00:00+08:00"
    )
    await storefront.post(
        f"/v1/orders/{order}/completion", {"completed_at": "2026-01-10T12:00:00+08:00"}, expect=200
    )
    await storefront.eventually(
        f"/v1/members/{member}/wallet", lambda wallet: wallet["points"]["available"] == points
    )
    return member
