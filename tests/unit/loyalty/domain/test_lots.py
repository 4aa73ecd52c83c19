"""Lots near their end: the rules, what covers a lot, what moves it, what gives it back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.loyalty.domain.activity import has_renewable, overdue, renew
from services.loyalty.domain.expiries import (
    ExpiryNotLater,
    LotNotOpen,
    NothingToExtend,
    day_end,
    end_due,
    extend,
    extended,
)
from services.loyalty.domain.expiry_notices import Notice, covering, require_possible
from services.loyalty.domain.ledger import Account, Balances, Stamp
from services.loyalty.domain.lots import Cause, Lot, expiry_schedule
from services.loyalty.domain.lots_rules import LotsRules, read_lots_rules
from services.loyalty.domain.programme import InvalidProgramme, read_programme
from services.loyalty.domain.reinstatements import MoreThanLapsed, reinstate
from shared.kernel.clock import BUSINESS_ZONE
from shared.kernel.errors import InvalidField
from tests.unit.loyalty.domain.programmes import RULES

DEFAULT = LotsRules(notice_days=30, least_notice_days=14, extension_days=30)
MOMENT = timedelta(microseconds=1)


def shanghai(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BUSINESS_ZONE).astimezone(UTC)  # type: ignore[misc, arg-type]


NOW = shanghai(2026, 11, 23, 12)
DAY = shanghai(2027, 12, 1)


def lot(number: int = 1, **changes: Any) -> Lot:
    made = Lot(
        id=f"lot_{number}",
        cause=Cause(kind="order", id=f"SO-{number}"),
        state="available",
        points=100,
        remaining=100,
        available_at=NOW,
        expires_at=DAY,
        programme_version=1,
        created_at=NOW,
    )
    return replace(made, **changes)


def account(*lots: Lot) -> Account:
    return Account(
        member_id="mem_1",
        balances=Balances(
            available=sum(one.remaining for one in lots if one.state == "available"),
            pending=sum(one.remaining for one in lots if one.state == "pending"),
        ),
        lots={one.id: one for one in lots},
    )


def notice(number: int = 1, **changes: Any) -> Notice:
    made = Notice(
        id=f"exn_{number}",
        expires_at=DAY,
        deliver_by=DAY - timedelta(days=14),
        delivered_at=DAY - timedelta(days=20),
        lots={"lot_1": 100},
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (30, 14, 30)),
        ({"notice_days": 60}, (60, 14, 60)),
        ({"notice_days": 10}, (10, 10, 30)),
        ({"notice_days": 60, "least_notice_days": 45, "extension_days": 90}, (60, 45, 90)),
        ({"notice_days": 1, "least_notice_days": 1, "extension_days": 1}, (1, 1, 1)),
    ],
)
def test_what_the_rules_leave_out_has_its_default(
    given: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    rules = read_lots_rules(given)
    assert (rules.notice_days, rules.least_notice_days, rules.extension_days) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"notice_days": 0},
        {"notice_days": True},
        {"notice_days": 10.5},
        {"notice_days": "30"},
        {"notice_days": 367},
        {"notice_days": 10, "least_notice_days": 11},
        {"notice_days": 40, "extension_days": 39},
        {"least_notice_days": None},
    ],
)
def test_rules_under_which_nobody_could_be_told_are_refused(wrong: dict[str, Any]) -> None:
    rules = {**RULES, "points": {**RULES["points"]}}
    rules["points"]["expiry"] = {"policy": "rolling", "months": 12, **wrong}
    with pytest.raises(InvalidProgramme):
        read_programme(9, json.dumps(rules))


@pytest.mark.parametrize(
    ("notices", "found"),
    [
        ([notice()], "exn_1"),
        ([], "never_announced"),
        ([notice(expires_at=DAY + MOMENT)], "never_announced"),
        ([notice(delivered_at=None)], "not_delivered"),
        ([notice(delivered_at=DAY - timedelta(days=14))], "exn_1"),
        ([notice(delivered_at=DAY - timedelta(days=14) + MOMENT)], "delivered_too_late"),
        ([notice(lots={"lot_1": 99})], "points_added_after_notice"),
        ([notice(lots={"lot_2": 500})], "points_added_after_notice"),
        ([notice(lots={"lot_1": 99}), notice(2, delivered_at=None)], "not_delivered"),
        ([notice(delivered_at=None), notice(2)], "exn_2"),
    ],
)
def test_a_lot_lapses_only_under_a_notice_of_its_day_of_all_of_it_that_came_in_time(
    notices: list[Notice], found: str
) -> None:
    covered = covering(lot(), notices)
    assert (covered.id if isinstance(covered, Notice) else covered) == found


def test_a_delivery_can_be_neither_before_its_notice_nor_in_the_future() -> None:
    minutes = timedelta(minutes=5)
    for possible in (NOW - minutes, DAY, DAY + minutes):
        require_possible(possible, announced_at=NOW, now=DAY)
    for impossible in (NOW - minutes - MOMENT, DAY + minutes + MOMENT):
        with pytest.raises(InvalidField):
            require_possible(impossible, announced_at=NOW, now=DAY)


@pytest.mark.parametrize(
    ("day", "later"),
    [
        ((2027, 12, 1), (2028, 1, 1)),
        ((2028, 2, 1), (2028, 4, 1)),
        ((2028, 1, 1), (2028, 2, 1)),
        ((2027, 11, 15), (2028, 1, 1)),
    ],
)
def test_an_extension_leaves_30_days_and_ends_with_a_month(
    day: tuple[int, ...], later: tuple[int, ...]
) -> None:
    before = shanghai(*day)
    after = extended(before, rules=DEFAULT)
    assert after == shanghai(*later)
    assert after - before >= timedelta(days=30)


def test_lots_end_in_the_order_of_their_days_and_as_of_them() -> None:
    books = account(lot(1), lot(2, expires_at=DAY - timedelta(days=30)))
    late = Stamp(at=shanghai(2028, 1, 15), actor="job")
    ended = end_due(books, notices=[notice()], rules=DEFAULT, stamp=late)
    assert [(one.lot_id, one.points) for one in ended.lapses] == [("lot_1", 100)]
    assert [(one.lot_id, one.before, one.after) for one in ended.extensions] == [
        ("lot_2", shanghai(2027, 11, 1), DAY),
        ("lot_2", DAY, shanghai(2028, 1, 1)),
        ("lot_2", shanghai(2028, 1, 1), shanghai(2028, 2, 1)),
    ]
    reasons = [one.reason for one in ended.extensions]
    assert reasons == ["never_announced", "points_added_after_notice", "never_announced"]
    assert [entry.occurred_at for entry in ended.account.entries] == [DAY]
    assert ended.account.balances.available == 100


def test_pending_points_and_points_before_their_day_stay() -> None:
    books = account(lot(1, expires_at=DAY + MOMENT), lot(2, state="pending", available_at=None))
    ended = end_due(books, notices=[notice()], rules=DEFAULT, stamp=Stamp(at=DAY, actor="job"))
    assert ended.account == books


def test_activity_moves_only_lots_that_follow_it_and_only_later() -> None:
    follower, other = lot(1, renewal_months=3), lot(2)
    books = account(follower, other)
    assert renew(books, at=NOW) == books, "it is good for longer already"
    moved = renew(books, at=shanghai(2027, 11, 30, 23, 59))
    assert moved.lots["lot_1"].expires_at == shanghai(2028, 3, 1)
    assert (moved.lots["lot_2"], moved.touched) == (other, frozenset({"lot_1"}))
    assert has_renewable(books)
    assert not has_renewable(account(other))


def test_activity_leaves_a_lot_past_its_day_to_what_was_due() -> None:
    books = account(lot(1, renewal_months=3))
    assert overdue(books, at=DAY)
    assert not overdue(books, at=DAY - MOMENT)
    assert not overdue(account(lot(1)), at=DAY)
    assert renew(books, at=DAY) == books


def test_an_operator_extends_named_lots_or_all_that_lapse_before() -> None:
    books = account(lot(1), lot(2, expires_at=None), lot(3, expires_at=shanghai(2029, 1, 1)))
    until = shanghai(2028, 3, 1)
    assert [one.lot_id for one in extend(books, lot_ids=None, until=until, at=NOW).extensions] == [
        "lot_1"
    ]
    with pytest.raises(NothingToExtend):
        extend(books, lot_ids=None, until=DAY, at=NOW)
    for lot_id in ("lot_2", "lot_3"):
        with pytest.raises(ExpiryNotLater):
            extend(books, lot_ids=["lot_1", lot_id], until=until, at=NOW)
    with pytest.raises(LotNotOpen):
        extend(books, lot_ids=["lot_9"], until=until, at=NOW)
    unscheduled = account(lot(1, state="pending", available_at=None, expires_at=None))
    with pytest.raises(LotNotOpen):
        extend(unscheduled, lot_ids=["lot_1"], until=until, at=NOW)


def test_a_day_ends_where_the_next_begins() -> None:
    assert day_end(shanghai(2027, 11, 30, 0, 1)) == DAY
    assert day_end(DAY - MOMENT) == DAY
    assert day_end(DAY) == DAY


def given_back(books: Account, stored: Lot, *, points: int, lapsed: int) -> Account:
    return reinstate(
        books,
        lot=stored,
        lapsed=lapsed,
        points=points,
        until=shanghai(2028, 1, 1),
        cause=Cause(kind="reinstatement", id="rin_1", reason="客诉"),
        programme_version=1,
        stamp=Stamp(at=DAY, actor="operator"),
    )


def test_points_come_back_to_their_lot_never_more_than_lapsed() -> None:
    lapsed = lot(1, state="closed", remaining=0)
    back = given_back(account(), lapsed, points=60, lapsed=100)
    assert (back.balances.available, back.lots["lot_1"].remaining) == (60, 60)
    assert back.lots["lot_1"].expires_at == shanghai(2028, 1, 1)
    for points in (0, 101):
        with pytest.raises(MoreThanLapsed):
            given_back(account(), lapsed, points=points, lapsed=100)


def test_points_that_come_back_shorten_nobodys_life() -> None:
    stored = lot(1, remaining=10, expires_at=shanghai(2028, 6, 1))
    back = given_back(account(stored), stored, points=60, lapsed=90)
    assert back.lots["lot_1"].expires_at == shanghai(2028, 6, 1)


def test_points_that_come_back_repay_a_debt_first() -> None:
    owing = Account(member_id="mem_1", balances=Balances(debt=40))
    back = given_back(owing, lot(1, state="closed", remaining=0), points=60, lapsed=100)
    assert (back.balances.available, back.balances.debt) == (20, 0)


def test_the_schedule_holds_available_points_soonest_first() -> None:
    lots = [
        lot(1, expires_at=None), lot(2), lot(3, remaining=20),
        lot(4, expires_at=NOW, remaining=5), lot(5, state="pending"),
    ]  # fmt: skip
    assert expiry_schedule(lots) == [(NOW, 5), (DAY, 120), (None, 100)]
