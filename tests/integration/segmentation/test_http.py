"""What callers see: names in their language, problems for what cannot be asked."""

import pytest

from services.segmentation.domain.sizes import Scheme
from tests.integration.segmentation.loyalty_feed import (
    a_member,
    enrolled,
    paid,
    run_today,
    tell,
    work,
)
from tests.support.service import Starter


async def test_segments_are_named_in_the_language_of_the_caller(start: Starter) -> None:
    service = await start("segmentation")

    chinese = (await service.call("list_segments")).json()["data"][0]
    english = (await service.call("list_segments", headers={"Accept-Language": "en"})).json()[
        "data"
    ][0]

    assert (chinese["code"], chinese["name"]) == ("important_value", "重要价值客户")
    assert (english["code"], english["name"]) == ("important_value", "High-value customers")


async def test_groups_say_what_to_do_and_the_rest_is_in_none(start: Starter) -> None:
    service = await start("segmentation")
    await tell(service, enrolled(a_member()), paid(a_member(), 25_900))

    reply = (await service.call("list_segments", params={"scheme": "group"})).json()

    shown = [(part["code"], part["action"], part["size"]) for part in reply["data"]]
    assert shown == [
        ("high_value", "重点维护", 0),
        ("potential", "刺激复购", 1),
        ("sleeping", "唤醒激活", 0),
        ("none", None, 1),
    ]


@pytest.mark.parametrize("scheme", Scheme)
async def test_every_part_has_words_of_its_own_in_both_languages(
    start: Starter, scheme: Scheme
) -> None:
    service = await start("segmentation")
    for language in ("zh-CN", "en"):
        reply = await service.call(
            "list_segments",
            params={"scheme": scheme.value},
            headers={"Accept-Language": language},
        )
        names = [part["name"] for part in reply.json()["data"]]
        assert not any(name.startswith("segment") for name in names)
        assert len(set(names)) == len(names) == len(scheme.codes)


async def test_shares_orders_and_averages_belong_to_the_sizes(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, paid(lin, 10_000), paid(lin, 10_001), enrolled(a_member()))

    reply = (await service.call("list_segments")).json()

    (bought,) = [part for part in reply["data"] if part["orders"]]
    assert (reply["members"], reply["next_cursor"]) == (2, None)
    assert (bought["size"], bought["share"], bought["orders"]) == (1, 0.5, 2)
    assert (bought["monetary_fen"], bought["average_order_fen"]) == (20_001, 10_001)
    (prospects,) = [part for part in reply["data"] if part["code"] == "prospect"]
    assert (prospects["size"], prospects["average_order_fen"]) == (1, None)


async def test_an_empty_programme_has_all_segments_and_nobody_in_them(start: Starter) -> None:
    service = await start("segmentation")

    before = (await service.call("list_segments")).json()
    run = await run_today(service)
    after = (await service.call("list_segments")).json()

    assert run["state"] == "done"
    for reply in (before, after):
        assert (reply["members"], {part["size"] for part in reply["data"]}) == (0, {0})
        assert {part["share"] for part in reply["data"]} == {0.0}
        assert (reply["thresholds"]["method"], reply["thresholds"]["reason"]) == (
            "fixed",
            "small_population",
        )


@pytest.mark.parametrize(
    "as_of", ["2026-11-24", "1989-12-31", "23.11.2026", "20261123", "795830400", "2026-02-30", ""]
)
async def test_a_day_that_has_not_come_or_is_none_is_refused(start: Starter, as_of: str) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, enrolled(lin))

    replies = [
        await service.call("list_segments", params={"as_of": as_of}),
        await service.call("show_member_segment", member_id=lin, params={"as_of": as_of}),
        await service.call("start_segment_run", json={"as_of": as_of}),
    ]

    for reply, pointer in zip(replies, ("?as_of", "?as_of", "/as_of"), strict=True):
        assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed")
        assert reply.json()["errors"][0]["pointer"] == pointer
    assert await service.rows("select * from segment_runs") == []


@pytest.mark.parametrize(
    "body", [{"as_of": 20261123}, {"as_of": True}, {"day": "2026-11-01"}, [], "x"]
)
async def test_a_run_asked_for_in_other_words_is_refused(start: Starter, body: object) -> None:
    service = await start("segmentation")

    reply = await service.call("start_segment_run", json=body)

    assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed")
    assert await service.rows("select * from segment_runs") == []


async def test_a_run_may_be_asked_for_without_a_body(start: Starter) -> None:
    service = await start("segmentation")

    reply = await service.call("start_segment_run")

    assert (reply.status_code, reply.json()["as_of"]) == (202, "2026-11-23")


async def test_asking_again_with_the_same_key_asks_for_no_second_run(start: Starter) -> None:
    service = await start("segmentation")

    first = await service.call("start_segment_run", json={}, key="night-shift-1")
    await work(service)
    again = await service.call("start_segment_run", json={}, key="night-shift-1")

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await service.scalar("select count(*) from segment_runs") == 1


@pytest.mark.parametrize("run_id", ["run_01kb3f8v2q0000000000000000", "run_1", "x"])
async def test_a_run_that_never_was_is_not_found(start: Starter, run_id: str) -> None:
    service = await start("segmentation")

    reply = await service.call("show_segment_run", run_id=run_id)

    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_today_is_the_live_state(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, paid(lin, 25_900))

    live = await service.call("list_segments")
    today = await service.call("list_segments", params={"as_of": "2026-11-23"})

    assert today.json() == live.json()
    shown = await service.call("show_member_segment", member_id=lin, params={"as_of": "2026-11-23"})
    assert shown.json()["frequency"] == 1
