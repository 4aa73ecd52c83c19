"""Orders and refunds move a member at once."""

from datetime import timedelta

from tests.integration.segmentation.loyalty_feed import (
    TODAY,
    a_member,
    enrolled,
    moves_told,
    paid,
    refunded,
    tell,
)
from tests.support.service import Starter


async def test_a_member_who_never_bought_is_a_prospect_without_scores(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, enrolled(lin))

    reply = await service.call("show_member_segment", member_id=lin)

    assert reply.status_code == 200
    assert reply.json() == {
        "member_id": lin,
        "as_of": "2026-11-23",
        "state": "prospect",
        "recency_days": None,
        "frequency": 0,
        "monetary_fen": 0,
        "r": None,
        "f": None,
        "m": None,
        "segment": "prospect",
        "segment_11": "prospect",
        "group": None,
        "method": "fixed",
        "reason": "small_population",
    }
    assert await moves_told(service, lin) == []


async def test_the_first_order_moves_a_prospect_at_once(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, enrolled(lin), paid(lin, 25_900))

    found = (await service.call("show_member_segment", member_id=lin)).json()

    assert (found["recency_days"], found["frequency"], found["monetary_fen"]) == (0, 1, 25_900)
    assert (found["r"], found["f"], found["m"]) == (5, 1, 3)
    assert (found["segment"], found["segment_11"]) == ("general_develop", "potential_loyalist")
    assert found["group"] == "potential"
    assert await moves_told(service, lin) == [
        ("segment.left.v1", "segment", "prospect"),
        ("segment.entered.v1", "segment", "general_develop"),
        ("segment.left.v1", "segment_11", "prospect"),
        ("segment.entered.v1", "segment_11", "potential_loyalist"),
        ("segment.entered.v1", "group", "potential"),
    ]


async def test_a_full_refund_takes_the_member_back_to_prospect(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    order = paid(lin, 25_900)
    await tell(service, enrolled(lin), order)
    await tell(service, refunded(order, 20_000))
    partly = (await service.call("show_member_segment", member_id=lin)).json()
    await tell(service, refunded(order, 5_900))
    fully = (await service.call("show_member_segment", member_id=lin)).json()

    assert (partly["frequency"], partly["monetary_fen"]) == (1, 5_900)
    assert (fully["state"], fully["recency_days"], fully["r"]) == ("prospect", None, None)
    assert fully["segment"] == "prospect"
    assert (await moves_told(service, lin))[-5:] == [
        ("segment.left.v1", "segment", "general_develop"),
        ("segment.entered.v1", "segment", "prospect"),
        ("segment.left.v1", "segment_11", "new"),
        ("segment.entered.v1", "segment_11", "prospect"),
        ("segment.left.v1", "group", "potential"),
    ]


async def test_a_refund_before_its_order_leaves_nothing_of_it(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    order = paid(lin, 25_900)
    await tell(service, enrolled(lin), refunded(order, 25_900))
    await tell(service, order)

    found = (await service.call("show_member_segment", member_id=lin)).json()

    assert found["state"] == "prospect"
    assert await moves_told(service, lin) == []


async def test_an_order_out_of_the_window_makes_a_lapsed_member(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, paid(lin, 25_900, TODAY - timedelta(days=365)))

    found = (await service.call("show_member_segment", member_id=lin)).json()

    assert (found["state"], found["segment"], found["group"]) == ("lapsed", "lapsed", "sleeping")
    assert (found["recency_days"], found["frequency"], found["r"]) == (365, 0, None)


async def test_what_was_heard_before_changes_nothing(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    order = paid(lin, 25_900)
    facts = [enrolled(lin), order, refunded(order, 900), paid(lin, 8_800)]
    await tell(service, *facts)
    before = await service.rows("select * from member_rfm")
    told = await moves_told(service, lin)

    await tell(service, *facts, *reversed(facts))

    assert await service.rows("select * from member_rfm") == before
    assert await moves_told(service, lin) == told


async def test_each_move_closes_one_snapshot_and_opens_the_next(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    order = paid(lin, 25_900)
    await tell(service, order)
    service.clock.advance(timedelta(hours=1))
    await tell(service, refunded(order, 25_900))

    first, second = await service.rows(
        "select * from segment_snapshots where member_id = :id order by version", id=lin
    )

    assert (first.version, first.segment, first.cause) == (1, "general_develop", "order")
    assert (second.version, second.segment, second.cause) == (2, "prospect", "refund")
    assert first.valid_to == second.valid_from == service.clock.now()
    assert second.valid_to is None
