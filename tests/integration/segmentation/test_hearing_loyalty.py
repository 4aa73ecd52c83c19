"""Segmentation hears loyalty's own application through its feed."""

from tests.support.service import ServiceUnderTest, Starter


async def enrol(loyalty: ServiceUnderTest, shop_id: str) -> str:
    """Enrol somebody; says under which id."""
    reply = await loyalty.call(
        "enrol_member", json={"identities": [{"kind": "external", "value": shop_id}]}
    )
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def order(loyalty: ServiceUnderTest, member_id: str, order_id: str, fen: int) -> None:
    """Record a paid order."""
    reply = await loyalty.call(
        "record_order",
        json={
            "order_id": order_id,
            "member_id": member_id,
            "paid_fen": fen,
            "items": [{"sku": "TEA-1", "quantity": 1, "paid_fen": fen}],
            "paid_at": "2026-11-20T04:00:00Z",
        },
    )
    assert reply.status_code == 201, reply.text


async def test_what_loyalty_records_moves_the_member_here(start: Starter) -> None:
    loyalty, service = await start("loyalty"), await start("segmentation")
    lin, wang = await enrol(loyalty, "shop-1"), await enrol(loyalty, "shop-2")
    await order(loyalty, lin, "SO-1", 25_900)
    await order(loyalty, lin, "SO-2", 8_800)
    refund = {
        "refund_id": "RF-1",
        "amount_fen": 8_800,
        "refunded_at": "2026-11-21T04:00:00Z",
    }
    refunded = await loyalty.call("refund_order", order_id="SO-2", json=refund)
    assert refunded.status_code == 201, refunded.text

    await service.hear(loyalty)

    bought = (await service.call("show_member_segment", member_id=lin)).json()
    waiting = (await service.call("show_member_segment", member_id=wang)).json()
    assert (bought["recency_days"], bought["frequency"], bought["monetary_fen"]) == (3, 1, 25_900)
    assert bought["segment"] == "general_develop"
    assert waiting["segment"] == "prospect"


async def test_hearing_all_over_again_changes_nothing(start: Starter) -> None:
    loyalty, service = await start("loyalty"), await start("segmentation")
    lin = await enrol(loyalty, "shop-1")
    await order(loyalty, lin, "SO-1", 25_900)
    await service.hear(loyalty)
    before = await service.rows("select * from member_rfm")
    told = await service.scalar("select count(*) from outbox")

    rewound = await service.call("rewind_segmentation_subscription", producer="loyalty")
    heard = await service.hear(loyalty)

    assert (rewound.status_code, heard > 0) == (204, True)
    assert await service.rows("select * from member_rfm") == before
    assert await service.scalar("select count(*) from outbox") == told


async def test_an_imported_history_comes_through(start: Starter) -> None:
    loyalty, service = await start("loyalty"), await start("segmentation")
    lines = "\n".join(
        f'{{"order_id": "OLD-{n}", "identity_value": "shop-{n % 3}", "paid_fen": 9900,'
        f' "paid_at": "2026-0{n % 9 + 1}-10T04:00:00Z"}}'
        for n in range(12)
    )
    sent = await loyalty.call(
        "import_orders", content=lines, headers={"Content-Type": "application/x-ndjson"}
    )
    assert sent.status_code in (200, 201, 202), sent.text

    await service.hear(loyalty)

    reply = (await service.call("list_segments", params={"as_of": "2026-11-22"})).json()
    assert (reply["members"], sum(part["orders"] for part in reply["data"])) == (3, 12)
