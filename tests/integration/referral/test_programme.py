"""The programme: ready without configuring anything, changed by versions, at most one level."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.integration.referral.loyalty_played import (
    DAY,
    Circle,
    completed,
    enrolled,
    member_id,
    paid,
)
from tests.support.service import NOON, ServiceUnderTest

STAGES = [
    {
        "name": "enrolled",
        "trigger": "enrolled",
        "rewards": [
            {"role": "referrer", "amount_fen": 2_000},
            {"role": "referee", "amount_fen": 2_000},
        ],
    },
    {
        "name": "first_order",
        "trigger": "first_order_paid",
        "rewards": [{"role": "referrer", "amount_fen": 5_000}],
    },
]
#: What is wrong with the terms → where the problem points to.
UNSOUND: list[tuple[dict[str, Any], str]] = [
    ({"stages": [STAGES[0], STAGES[0]]}, "/stages"),
    ({"stages": []}, "/stages"),
    ({"stages": [{**STAGES[0], "trigger": "first_order_paid"}]}, "/stages/0/trigger"),
    ({"stages": [STAGES[0], {**STAGES[1], "trigger": "enrolled"}]}, "/stages/1/trigger"),
    ({"stages": [{**STAGES[0], "name": "second_order"}]}, "/stages/0/name"),
    ({"stages": [{**STAGES[0], "rewards": []}]}, "/stages/0/rewards"),
    (
        {"stages": [{**STAGES[0], "rewards": [{"role": "referrer", "amount_fen": 1}] * 2}]},
        "/stages/0/rewards",
    ),
    (
        {"stages": [{**STAGES[0], "rewards": [{"role": "grandreferrer", "amount_fen": 1}]}]},
        "/stages/0/rewards/0/role",
    ),
    (
        {"stages": [{**STAGES[0], "rewards": [{"role": "referrer", "amount_fen": 0}]}]},
        "/stages/0/rewards/0/amount_fen",
    ),
    ({"minimum_order_fen": -1}, "/minimum_order_fen"),
    ({"minimum_order_fen": True}, "/minimum_order_fen"),
    ({"voucher": {"threshold_fen": 0, "validity_days": 0}}, "/voucher/validity_days"),
    ({"voucher": {"threshold_fen": -1, "validity_days": 1}}, "/voucher/threshold_fen"),
    ({"caps": {"per_day": 0}}, "/caps/per_day"),
    ({"paid_levels": 0}, "/paid_levels"),
    ({"expected_version": 2**31}, "/expected_version"),
    ({"starts_at": "2026-11-23T12:00:00"}, "/starts_at"),
    (
        {"starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z"},
        "/ends_at",
    ),
    ({"levels": 1}, "/levels"),
]
TERMS: dict[str, Any] = {
    "expected_version": 1,
    "stages": STAGES,
    "minimum_order_fen": 0,
    "voucher": {"threshold_fen": 0, "validity_days": 90},
}


def second_stage(trigger: str, *, referee_fen: int = 0) -> list[Any]:
    """The default stages with another trigger, and perhaps a reward for the referee."""
    rewards = [{"role": "referrer", "amount_fen": 5_000}]
    if referee_fen:
        rewards.append({"role": "referee", "amount_fen": referee_fen})
    return [STAGES[0], {"name": "first_order", "trigger": trigger, "rewards": rewards}]


async def publish(referral: ServiceUnderTest, **different: Any) -> httpx.Response:
    """Publish terms that differ from the default."""
    return await referral.call("update_referral_programme", json={**TERMS, **different}, key=None)


async def in_force(referral: ServiceUnderTest) -> Any:
    reply = await referral.call("show_referral_programme")
    assert reply.status_code == 200
    return reply.json()


async def newcomer(circle: Circle, *, at: datetime) -> dict[str, Any]:
    """Somebody enrols with the code; the referral that comes of it."""
    member = member_id()
    await circle.tell(enrolled(member, code=circle.code, at=at))
    page = (await circle.referral.call("list_referrals")).json()["data"]
    (found,) = [one for one in page if one["referee"] == member]
    return dict(found)


async def test_the_default_is_20_yuan_for_both_and_50_after_the_first_order(
    circle: Circle,
) -> None:
    terms = await in_force(circle.referral)
    published_at = terms.pop("published_at")
    assert datetime.fromisoformat(published_at).tzinfo is not None
    assert terms == {
        "version": 1,
        "paid_levels": 1,
        "stages": STAGES,
        "minimum_order_fen": 0,
        "voucher": {"threshold_fen": 0, "validity_days": 90},
        "caps": {"per_day": None, "per_month": None},
        "starts_at": None,
        "ends_at": None,
    }


async def test_new_terms_are_the_next_version_and_read_as_written(circle: Circle) -> None:
    given = {
        "stages": second_stage("first_order_completed", referee_fen=1_000),
        "minimum_order_fen": 9_900,
        "voucher": {"threshold_fen": 19_900, "validity_days": 30},
        "caps": {"per_day": 5, "per_month": 50},
        "starts_at": "2026-11-23T12:00:00+08:00",
        "ends_at": "2026-12-31T16:00:00Z",
    }
    reply = await publish(circle.referral, **given)
    assert reply.status_code == 200
    terms = reply.json()
    assert terms["version"] == 2
    assert {name: terms[name] for name in given} == given | {"starts_at": "2026-11-23T04:00:00Z"}
    assert await in_force(circle.referral) == terms
    by = await circle.referral.scalar("select published_by from programme_versions where version=2")
    assert by == "api_key:managerk"


async def test_who_has_not_seen_the_version_in_force_changes_nothing(circle: Circle) -> None:
    before = await in_force(circle.referral)
    reply = await publish(circle.referral, expected_version=2)
    assert (reply.status_code, reply.json()["code"]) == (409, "programme_changed")
    assert "1" in reply.json()["detail"]
    assert await in_force(circle.referral) == before


async def test_of_ten_changes_at_once_from_one_version_one_counts(circle: Circle) -> None:
    replies = await asyncio.gather(
        *(publish(circle.referral, minimum_order_fen=fen) for fen in range(10))
    )
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 9
    (won,) = [reply.json() for reply in replies if reply.status_code == 200]
    assert await in_force(circle.referral) == won
    assert won["version"] == 2


async def test_the_same_key_publishes_once(circle: Circle) -> None:
    first, second = [
        await circle.referral.call("update_referral_programme", json=TERMS, key="monday")
        for _ in range(2)
    ]
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


async def test_more_than_one_paid_level_is_refused(circle: Circle) -> None:
    reply = await publish(circle.referral, paid_levels=2)
    assert (reply.status_code, reply.json()["code"]) == (422, "too_many_paid_levels")
    assert "传销" in reply.json()["detail"]
    assert (await in_force(circle.referral))["version"] == 1


async def test_unsound_terms_are_refused_with_the_place(circle: Circle) -> None:
    for different, pointer in UNSOUND:
        reply = await publish(circle.referral, **different)
        assert reply.status_code == 422, reply.text
        (error,) = reply.json()["errors"]
        assert error["pointer"] == pointer
        assert not error["detail"].startswith("validation")
    assert await circle.referral.scalar("select count(*) from programme_versions") == 1


async def test_a_referral_keeps_the_programme_under_which_it_began(circle: Circle) -> None:
    await circle.enrol()
    stages = [{**STAGES[0]}, {**STAGES[1], "rewards": [{"role": "referrer", "amount_fen": 100}]}]
    assert (await publish(circle.referral, stages=stages)).status_code == 200
    await circle.tell(paid(circle.referee, "SO-1"))
    assert ("first_order", "referrer", 5_000, "issued") in await circle.rewards()
    assert (await circle.of_referee())["programme_version"] == 1


async def test_the_version_is_that_of_the_enrolment_however_late_it_is_heard_of(
    circle: Circle,
) -> None:
    circle.referral.clock.advance(10 * DAY)
    assert (await publish(circle.referral)).status_code == 200
    before = await newcomer(circle, at=NOON + 9 * DAY)
    after = await newcomer(circle, at=NOON + 10 * DAY)
    assert (before["programme_version"], after["programme_version"]) == (1, 2)


async def test_an_order_below_the_minimum_is_no_first_order(circle: Circle) -> None:
    assert (await publish(circle.referral, minimum_order_fen=10_000)).status_code == 200
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1", fen=9_999))
    assert (await circle.of_referee())["state"] == "enrolled"
    await circle.tell(paid(circle.referee, "SO-2", fen=10_000, at=NOON + 2 * DAY))
    assert (await circle.of_referee())["first_order_id"] == "SO-2"


async def test_an_order_that_cost_nothing_is_no_first_order(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1", fen=0))
    assert (await circle.of_referee())["state"] == "enrolled"


async def test_a_programme_may_wait_until_the_first_order_is_received(circle: Circle) -> None:
    stages = second_stage("first_order_completed", referee_fen=1_000)
    assert (await publish(circle.referral, stages=stages)).status_code == 200
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "qualified"
    assert len(await circle.rewards()) == 2
    await circle.tell(completed(circle.referee, "SO-1"))
    assert (await circle.of_referee())["state"] == "completed"
    assert [reward for reward in await circle.rewards() if reward[0] == "first_order"] == [
        ("first_order", "referrer", 5_000, "issued"),
        ("first_order", "referee", 1_000, "issued"),
    ]


async def test_outside_its_dates_the_programme_takes_nobody_in(circle: Circle) -> None:
    dates = {"starts_at": (NOON + DAY).isoformat(), "ends_at": (NOON + 2 * DAY).isoformat()}
    assert (await publish(circle.referral, **dates)).status_code == 200
    moment = timedelta(seconds=1)
    early = await newcomer(circle, at=NOON + DAY - moment)
    first = await newcomer(circle, at=NOON + DAY)
    late = await newcomer(circle, at=NOON + 2 * DAY)
    assert [one["state"] for one in (early, first, late)] == ["rejected", "enrolled", "rejected"]
    assert early["reasons"] == late["reasons"] == ["programme_not_running"]
    assert late["referrer"] == circle.referrer


async def test_over_a_cap_the_newcomer_is_rewarded_and_the_referrer_is_not(
    circle: Circle,
) -> None:
    caps = {"per_day": 1, "per_month": 2}
    assert (await publish(circle.referral, caps=caps)).status_code == 200
    # 16:00 UTC is midnight in Shanghai.
    midnight = NOON.replace(hour=16)
    found = [
        await newcomer(circle, at=at)
        for at in (NOON, NOON + timedelta(hours=1), midnight, NOON + 4 * DAY, NOON + 8 * DAY)
    ]
    beneficiaries = [[reward["role"] for reward in one["rewards"]] for one in found]
    both, only_one = ["referrer", "referee"], ["referee"]
    # The first of its day; over the day's; the next day; over November's; in December.
    assert beneficiaries == [both, only_one, both, only_one, both]
    assert [one["reasons"] for one in found] == [
        [],
        ["referrer_cap_reached"],
        [],
        ["referrer_cap_reached"],
        [],
    ]
    await circle.tell(paid(found[1]["referee"], "SO-1", at=NOON + 9 * DAY))
    shown = (await circle.referral.call("show_referral", referral_id=found[1]["id"])).json()
    assert shown["state"] == "completed"
    assert [reward["role"] for reward in shown["rewards"]] == only_one
