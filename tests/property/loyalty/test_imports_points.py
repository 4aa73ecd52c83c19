"""Whatever a file says: each line moves what it says or nothing, and the books agree."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.imports import LEAST_LEFT
from services.loyalty.domain.imports_points import (
    MovementKind,
    PointsLine,
    fault_of,
    move,
    untimely,
)
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.points import (
    InsufficientPoints,
    earn_pending,
    release_due,
    schedule,
)
from tests.unit.loyalty.domain.programmes import programme

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
RULES = programme()
STAMP = Stamp(at=NOW, actor="test")

moments = st.none() | st.integers(-900, 900).map(lambda days: NOW + timedelta(days=days))
past = st.integers(-900, 0).map(lambda days: NOW + timedelta(days=days))
some_points = st.integers(1, 100)


def _lines(**fields: Any) -> st.SearchStrategy[PointsLine]:
    given = {
        "kind": st.sampled_from(get_args(MovementKind)),
        "points": some_points,
        "occurred_at": st.none(),
        "available_at": st.none(),
        "expires_at": st.none(),
        "reason": st.none() | st.just("gift"),
        **fields,
    }
    return st.builds(
        PointsLine,
        line=st.just(1),
        reference=st.just("R-1"),
        member_id=st.just("mem_1"),
        identity=st.none(),
        **given,
    )


anything = _lines(
    points=st.integers(-50, 100), occurred_at=moments, available_at=moments, expires_at=moments
)
_balance, _later = st.just("balance"), st.integers(901, 2000)
credits_ = st.one_of(
    _lines(kind=_balance, available_at=moments),
    _lines(kind=_balance, expires_at=st.none() | _later.map(lambda d: NOW + timedelta(days=d))),
    _lines(kind=_balance, expires_at=st.integers(1, 60).map(lambda d: NOW + timedelta(days=d))),
    _lines(kind=st.sampled_from(["earned", "adjusted"]), occurred_at=past),
    _lines(kind=st.just("earned"), occurred_at=st.just(NOW - timedelta(days=901)), expires_at=past),
)
debits = st.one_of(
    _lines(kind=_balance, points=some_points.map(lambda points: -points)),
    _lines(kind=st.sampled_from(["redeemed", "expired"]), occurred_at=past),
    _lines(kind=st.just("adjusted"), points=st.integers(-60, -1), occurred_at=past),
)
files = st.lists(credits_ | debits, max_size=30)


def _fits(line: PointsLine) -> bool:
    return fault_of(line) is None and untimely(line, now=NOW) is None


def _moved(account: Account, line: PointsLine, *, number: int) -> Account:
    return move(account, line, programme=RULES, lot_id=f"lot_{number:04}", stamp=STAMP)


def _signed(line: PointsLine) -> int:
    return -abs(line.points) if line.kind in ("redeemed", "expired") else line.points


@given(credits_ | debits)
def test_the_lines_of_these_tests_have_no_fault(line: PointsLine) -> None:
    assert _fits(line)


@given(files)
def test_what_a_member_can_count_on_is_the_sum_of_the_lines_that_were_taken(
    file: list[PointsLine],
) -> None:
    account = Account(member_id="mem_1")
    total = 0
    for number, line in enumerate(file):
        # Lots of one cause are told apart by their reference: each counts once.
        one = replace(line, reference=str(number))
        try:
            account = _moved(account, one, number=number)
        except InsufficientPoints:
            assert one.kind != "balance"
            assert account.balances.available < abs(one.points)
        else:
            total += _signed(one)
        assert account.balances.total == total
        assert not (account.balances.debt and account.balances.available)
        for state in ("available", "pending"):
            held = sum(lot.remaining for lot in account.lots_in(state))
            assert held == getattr(account.balances, state)


@given(files, some_points)
def test_what_was_earned_here_pays_for_no_past(file: list[PointsLine], points: int) -> None:
    """Only what is owed today takes from it."""
    cause = Cause(kind="order", id="O-1")
    account = earn_pending(
        Account(member_id="mem_1"), lot_id="lot_here", points=points, cause=cause,
        programme_version=1, occurred_at=NOW, stamp=STAMP,
    )  # fmt: skip
    account = schedule(account, cause=cause, available_at=NOW, expires_at=NOW + timedelta(days=9))
    account, brought = release_due(account, stamp=STAMP), 0
    for number, line in enumerate(line for line in file if line.kind != "balance"):
        before = account.lots["lot_here"].remaining
        try:
            account = _moved(account, replace(line, reference=str(number)), number=number)
        except InsufficientPoints:
            assert brought < abs(line.points)
        else:
            brought += _signed(line)
        assert account.lots["lot_here"].remaining == before == points
        assert account.balances.total == points + brought


@given(files, st.randoms(use_true_random=False))
def test_the_order_of_opening_balances_makes_no_difference(
    file: list[PointsLine], dice: Random
) -> None:
    balances = [
        replace(line, reference=str(number))
        for number, line in enumerate(file)
        if line.kind == "balance" and line.available_at is None
    ]
    shuffled = dice.sample(balances, len(balances))

    ends = []
    for order in (balances, shuffled):
        account = Account(member_id="mem_1")
        for line in order:
            account = _moved(account, line, number=int(line.reference))
        ends.append(account.balances)

    assert ends[0] == ends[1]


@given(credits_)
def test_no_imported_points_lapse_unannounced(line: PointsLine) -> None:
    (lot,) = _moved(Account(member_id="mem_1"), line, number=1).lots.values()

    assert lot.expires_at is not None
    assert lot.expires_at > NOW
    if line.kind == "balance" and line.expires_at is not None:
        assert lot.expires_at == line.expires_at
    else:
        assert lot.expires_at >= NOW + LEAST_LEFT
        assert line.expires_at is None or lot.expires_at >= line.expires_at


@given(anything)
def test_a_line_with_a_fault_says_where(line: PointsLine) -> None:
    fault = fault_of(line) or untimely(line, now=NOW)

    if fault is not None:
        assert fault.pointer in ("/points", "/occurred_at", "/available_at", "/expires_at")
    elif line.kind != "balance":
        assert line.occurred_at is not None
        assert line.occurred_at <= NOW
