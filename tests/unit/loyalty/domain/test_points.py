"""What happens to points: which lots pay, what a clawback takes, how debt is repaid."""

from datetime import UTC, datetime, timedelta

import pytest

from services.loyalty.domain.clawbacks import claw_back
from services.loyalty.domain.ledger import Account, Balances, Stamp
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.points import (
    InsufficientPoints,
    earn_pending,
    expire,
    redeem,
    release_due,
    schedule,
)

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def stamp(day: int = 0) -> Stamp:
    return Stamp(at=NOON + timedelta(days=day), actor="api_key:1")


def order(number: int) -> Cause:
    return Cause(kind="order", id=f"SO-{number}")


def earn(account: Account, number: int, points: int) -> Account:
    return earn_pending(
        account,
        lot_id=f"lot_{number}",
        points=points,
        cause=order(number),
        programme_version=1,
        occurred_at=NOON,
        stamp=stamp(number),
    )


def available(account: Account, number: int, points: int, *, lapses: int | None) -> Account:
    account = earn(account, number, points)
    expires_at = None if lapses is None else NOON + timedelta(days=lapses)
    account = schedule(account, cause=order(number), available_at=NOON, expires_at=expires_at)
    return release_due(account, stamp=stamp(number))


def spend(account: Account, points: int, *, number: int = 1) -> Account:
    cause = Cause(kind="redemption", id=f"rdm_{number}")
    return redeem(account, points=points, cause=cause, programme_version=1, stamp=stamp())


def take_back(account: Account, number: int, points: int, *, refund: str = "RF-1") -> Account:
    return claw_back(
        account,
        points=points,
        earned_by=order(number),
        cause=Cause(kind="refund", id=refund),
        programme_version=1,
        occurred_at=NOON,
        stamp=stamp(),
    )


def left(account: Account) -> dict[str, int]:
    return {lot.id: lot.remaining for lot in account.lots.values() if lot.remaining}


EMPTY = Account(member_id="mem_1")


def test_an_order_that_earns_nothing_leaves_no_entry() -> None:
    assert earn(EMPTY, 1, 0) == EMPTY


def test_points_are_released_when_due_and_not_a_moment_before() -> None:
    due = stamp(7).at
    account = schedule(earn(EMPTY, 1, 100), cause=order(1), available_at=due, expires_at=None)
    before = Stamp(at=due - timedelta(microseconds=1), actor="job")
    assert release_due(account, stamp=before).balances == Balances(pending=100)
    assert release_due(account, stamp=stamp(7)).balances == Balances(available=100)


def test_a_released_entry_says_when_it_fell_due_not_when_somebody_came_by() -> None:
    account = schedule(earn(EMPTY, 1, 100), cause=order(1), available_at=NOON, expires_at=None)
    entry = release_due(account, stamp=stamp(30)).entries[-1]
    assert (entry.occurred_at, entry.stamp.at) == (NOON, stamp(30).at)


def test_points_without_a_moment_stay_pending() -> None:
    assert release_due(earn(EMPTY, 1, 100), stamp=stamp(9999)).balances == Balances(pending=100)


def test_the_soonest_to_lapse_are_spent_first_and_those_that_never_lapse_last() -> None:
    account = available(EMPTY, 1, 10, lapses=None)
    account = available(account, 2, 10, lapses=90)
    account = available(account, 3, 10, lapses=30)
    assert left(spend(account, 15)) == {"lot_1": 10, "lot_2": 5}


def test_of_lots_that_lapse_together_the_older_is_spent_first() -> None:
    account = available(available(EMPTY, 2, 10, lapses=30), 1, 10, lapses=30)
    assert left(spend(account, 10)) == {"lot_2": 10}


def test_a_redemption_records_which_lots_paid() -> None:
    account = spend(available(available(EMPTY, 1, 10, lapses=30), 2, 10, lapses=60), 12)
    paid = [(part.lot_id, part.points) for part in account.entries[-1].allocations]
    assert paid == [("lot_1", -10), ("lot_2", -2)]


def test_pending_points_cannot_be_spent() -> None:
    account = earn(available(EMPTY, 1, 10, lapses=30), 2, 1000)
    with pytest.raises(InsufficientPoints) as refused:
        spend(account, 11)
    assert refused.value.facts == {"available": 10, "asked": 11}


def test_points_past_their_day_can_be_spent_until_they_were_expired_in_the_open() -> None:
    account = available(EMPTY, 1, 10, lapses=-1)
    assert spend(account, 10).balances == Balances()


def test_a_clawback_takes_the_orders_pending_points_first() -> None:
    account = earn(available(EMPTY, 1, 50, lapses=30), 2, 100)
    assert take_back(account, 2, 60).balances == Balances(available=50, pending=40)


def test_then_the_orders_own_lot_before_others_that_lapse_sooner() -> None:
    account = available(available(EMPTY, 1, 50, lapses=10), 2, 100, lapses=90)
    assert left(take_back(account, 2, 60)) == {"lot_1": 50, "lot_2": 40}


def test_then_other_lots_the_soonest_to_lapse_first() -> None:
    account = available(available(EMPTY, 1, 50, lapses=90), 2, 50, lapses=10)
    account = available(account, 3, 5, lapses=None)
    assert left(take_back(account, 3, 60)) == {"lot_1": 45}


def test_what_is_gone_already_becomes_debt() -> None:
    account = take_back(spend(available(EMPTY, 1, 100, lapses=30), 80), 1, 100)
    assert account.balances == Balances(debt=80)
    assert [entry.debit_account for entry in account.entries[-2:]] == ["available", "debt"]


def test_pending_points_of_other_orders_are_left_alone() -> None:
    account = earn(spend(available(EMPTY, 1, 100, lapses=30), 100), 2, 500)
    assert take_back(account, 1, 100).balances == Balances(pending=500, debt=100)


def test_released_points_repay_debt_first() -> None:
    account = take_back(spend(available(EMPTY, 1, 100, lapses=30), 80), 1, 100)
    account = available(account, 2, 200, lapses=60)
    assert account.balances == Balances(available=120)
    assert [entry.kind for entry in account.entries[-2:]] == ["released", "repaid"]
    assert left(account) == {"lot_2": 120}


def test_a_lot_smaller_than_the_debt_repays_what_it_can() -> None:
    account = take_back(spend(available(EMPTY, 1, 100, lapses=30), 100), 1, 100)
    account = available(account, 2, 30, lapses=60)
    assert account.balances == Balances(debt=70)
    assert left(account) == {}


def test_two_clawbacks_take_from_the_same_places_as_one() -> None:
    account = available(available(EMPTY, 1, 30, lapses=90), 2, 50, lapses=10)
    account = earn(account, 3, 10)
    once = take_back(account, 3, 75)
    twice = take_back(take_back(account, 3, 37, refund="RF-1"), 3, 38, refund="RF-2")
    assert (left(once), once.balances) == (left(twice), twice.balances)


def test_a_lot_that_lapses_leaves_the_balance() -> None:
    account = spend(available(EMPTY, 1, 100, lapses=30), 40)
    cause = Cause(kind="lot", id="lot_1")
    gone = expire(account, lot_id="lot_1", cause=cause, stamp=stamp(31))
    assert gone.balances == Balances()
    assert gone.entries[-1].points == 60
    assert expire(gone, lot_id="lot_1", cause=cause, stamp=stamp(32)) == gone


def in_turn(account: Account, number: int, *, due: int, lapses: int) -> Account:
    """The books with 100 points more that are due and lapse so many days from now."""
    return schedule(
        earn(account, number, 100),
        cause=order(number),
        available_at=stamp(due).at,
        expires_at=stamp(lapses).at,
    )


def test_what_was_due_first_repays_debt_first_though_it_lapses_later() -> None:
    account = take_back(spend(available(EMPTY, 1, 50, lapses=30), 50), 1, 50)
    account = in_turn(in_turn(account, 2, due=5, lapses=30), 3, due=3, lapses=60)
    account = release_due(account, stamp=stamp(9))
    assert left(account) == {"lot_2": 100, "lot_3": 50}
    assert [entry.occurred_at for entry in account.entries if entry.kind == "repaid"] == [
        stamp(3).at
    ], "as of the day it was due"


def test_of_lots_that_lapse_together_the_older_is_spent_first_though_it_was_due_later() -> None:
    account = in_turn(in_turn(EMPTY, 1, due=5, lapses=60), 2, due=3, lapses=60)
    assert left(spend(release_due(account, stamp=stamp(9)), 60)) == {"lot_1": 40, "lot_2": 100}
