"""Exactly once: whatever is repeated, and in whatever order it comes."""

import random

import pytest

from services.referral.store.codes import add_code
from shared.contracts.envelope import EventData
from shared.events.cursor import rewind_cursor
from tests.integration.referral.at_once import FIFTY, TWENTY_EACH, at_once, due, events_of
from tests.integration.referral.loyalty_played import (
    DAY,
    Circle,
    PlayedLoyalty,
    completed,
    enrolled,
    imported,
    member_id,
    paid,
    refunded,
)
from tests.support.service import NOON, Starter


async def test_fifty_repetitions_of_an_enrolment_at_once_reward_once(circle: Circle) -> None:
    (event,) = events_of(circle, enrolled(circle.referee, code=circle.code))
    await at_once(circle, [event] * 50)
    await circle.loyalty.answer()
    assert await circle.rewards(live=False) == TWENTY_EACH
    assert await due(circle) == 2
    assert circle.loyalty.usable(circle.referrer) == 1


async def test_fifty_repetitions_of_a_first_order_at_once_reward_once(circle: Circle) -> None:
    await circle.enrol()
    (event,) = events_of(circle, paid(circle.referee, "SO-1"))
    await at_once(circle, [event] * 50)
    await circle.loyalty.answer()
    assert await circle.rewards(live=False) == [*TWENTY_EACH, FIFTY]
    assert await due(circle) == 3


async def test_answers_repeated_at_once_change_nothing_more(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    before = await circle.of_referee()
    answers = [event for event in circle.loyalty.told if event.type.startswith("voucher.")]
    assert len(answers) == 3
    await at_once(circle, answers * 10)
    assert await circle.of_referee() == before


async def test_reading_the_whole_log_again_changes_nothing(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"), completed(circle.referee, "SO-1"))
    await circle.tell(refunded(circle.referee, "SO-1"))
    await circle.tell(paid(circle.referee, "SO-2", at=NOON + 2 * DAY))
    (fifty,) = [
        one
        for one in (await circle.of_referee())["rewards"]
        if one["stage"] == "first_order" and one["state"] == "issued"
    ]
    await circle.loyalty.use(fifty["id"])
    await circle.tell(refunded(circle.referee, "SO-2"))
    await circle.tell(paid(circle.referee, "SO-3", at=NOON + 3 * DAY))
    before = await circle.of_referee()
    outbox = await circle.referral.scalar("select count(*) from outbox")
    async with circle.referral.database.begin(actor="test") as transaction:
        await rewind_cursor(transaction.session, producer="loyalty", at=NOON)
    await circle.loyalty.apply(circle.loyalty.told)
    assert await circle.of_referee() == before
    assert await circle.referral.scalar("select count(*) from outbox") == outbox
    assert await circle.parked() == 0


async def test_a_database_that_begins_anew_asks_for_the_same_rewards(
    circle: Circle, start: Starter
) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1"))
    before = await circle.of_referee()
    restored = await start("referral")
    async with restored.database.begin(actor="backup") as transaction:
        await add_code(
            transaction.session,
            code=circle.code,
            member_id=circle.referrer,
            channel="",
            now=transaction.now,
        )
    again = PlayedLoyalty(referral=restored)
    await again.apply(circle.loyalty.told)
    shown = await restored.call("show_referral", referral_id=before["id"])
    assert shown.json() == before


async def test_a_log_heard_all_at_once_or_one_by_one_ends_alike(circle: Circle) -> None:
    await circle.tell(
        refunded(circle.referee, "SO-1"),
        completed(circle.referee, "SO-2"),
        paid(circle.referee, "SO-2", at=NOON + 2 * DAY),
        enrolled(circle.referee, code=circle.code),
        paid(circle.referee, "SO-1"),
        imported((member_id(), "IMP-1", NOON), (circle.referee, "IMP-2", NOON + 3 * DAY)),
    )
    assert (await circle.of_referee())["first_order_id"] == "SO-2"
    assert await circle.rewards() == [*TWENTY_EACH, FIFTY]
    assert await circle.parked() == 0


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_the_facts_ends_alike_in_the_tables_too(
    circle: Circle, seed: int
) -> None:
    facts: list[EventData] = [
        enrolled(circle.referee, code=circle.code),
        paid(circle.referee, "SO-1"),
        refunded(circle.referee, "SO-1", fen=9_900, in_full=False, refund="R-1"),
        refunded(circle.referee, "SO-1", fen=20_000, in_full=True, refund="R-2"),
        paid(circle.referee, "SO-2", at=NOON + 2 * DAY),
        completed(circle.referee, "SO-2"),
        imported((circle.referee, "IMP-1", NOON + 3 * DAY)),
    ]
    chance = random.Random(seed)
    told = [*facts, *chance.sample(facts, 3)]
    chance.shuffle(told)
    for fact in told:
        if chance.random() < 0.5:
            await circle.tell(fact)
        else:
            await circle.loyalty.tell(fact)
    await circle.loyalty.answer()
    referral = await circle.of_referee()
    assert (referral["state"], referral["first_order_id"]) == ("completed", "SO-2")
    assert await circle.rewards() == [*TWENTY_EACH, FIFTY]
    assert circle.loyalty.usable(circle.referrer) == 2
    assert await circle.parked() == 0


async def test_an_answer_about_a_reward_that_nobody_asked_for_is_put_aside(
    circle: Circle,
) -> None:
    await circle.enrol()
    (issued, *_) = [one for one in circle.loyalty.told if one.type == "voucher.issued.v1"]
    stray = circle.loyalty.envelope(enrolled(member_id()))
    circle.loyalty.told[-1] = stray.model_copy(
        update={
            "type": issued.type,
            "subject": issued.subject,
            "data": issued.data | {"source_id": "rwd_00000000000000000000000000"},
        }
    )
    await circle.loyalty.apply(circle.loyalty.told[-1:])
    rows = await circle.referral.rows("select type, error from parked_events")
    assert [tuple(row) for row in rows] == [("voucher.issued.v1", "UnknownReward")]
    assert await circle.rewards() == TWENTY_EACH


async def test_vouchers_that_are_not_rewards_do_not_concern_referral(circle: Circle) -> None:
    await circle.enrol()
    (issued, *_) = [one for one in circle.loyalty.told if one.type == "voucher.issued.v1"]
    other = circle.loyalty.envelope(enrolled(member_id()))
    circle.loyalty.told[-1] = other.model_copy(
        update={"type": issued.type, "data": issued.data | {"source_kind": "issue"}}
    )
    await circle.loyalty.apply(circle.loyalty.told[-1:])
    assert await circle.parked() == 0
    assert await circle.rewards() == TWENTY_EACH
