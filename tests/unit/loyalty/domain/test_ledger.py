"""The books of one member: double entry, lots that follow, a chain of hashes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.loyalty.domain.ledger import (
    Account,
    BalanceLimitReached,
    Balances,
    LedgerBroken,
    Posting,
    Stamp,
    entry_hash,
    post,
)
from services.loyalty.domain.lots import Allocation, Cause, Lot

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
STAMP = Stamp(at=NOW, actor="api_key:1")
ORDER = Cause(kind="order", id="SO-1")


def lot(points: int, **fields: object) -> Lot:
    made = Lot(
        id="lot_1",
        cause=ORDER,
        state="pending",
        points=points,
        remaining=points,
        available_at=None,
        expires_at=None,
        programme_version=1,
        created_at=NOW,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def earned(points: int, **fields: object) -> Posting:
    posting = Posting(
        kind="earned",
        debit="issued",
        credit="pending",
        points=points,
        cause=ORDER,
        programme_version=1,
        occurred_at=NOW,
        lots=(lot(points),),
    )
    return replace(posting, **fields)  # type: ignore[arg-type]


def test_an_entry_moves_points_and_says_what_is_left() -> None:
    account = post(Account(member_id="mem_1"), earned(259), stamp=STAMP)
    assert account.balances == Balances(pending=259)
    (entry,) = account.entries
    assert (entry.seq, entry.after, entry.previous_hash) == (1, Balances(pending=259), None)
    assert [(part.lot_id, part.points) for part in entry.allocations] == [("lot_1", 259)]
    assert account.touched == {"lot_1"}


def test_debt_grows_by_debits_and_shrinks_by_credits() -> None:
    owing = Balances(debt=10).moved(debit="debt", credit="clawed_back", points=5)
    assert owing == Balances(debt=15)
    repaid = Balances(available=20, debt=15).moved(debit="available", credit="debt", points=15)
    assert repaid == Balances(available=5)


def test_a_posting_below_zero_breaks_the_books() -> None:
    account = post(Account(member_id="mem_1"), earned(10), stamp=STAMP)
    too_much = earned(
        11, kind="clawed_back", debit="pending", credit="clawed_back", lots=(lot(10, remaining=0),)
    )
    with pytest.raises(LedgerBroken):
        post(account, too_much, stamp=STAMP)


def test_lots_that_do_not_move_with_their_balance_break_the_books() -> None:
    with pytest.raises(LedgerBroken):
        post(Account(member_id="mem_1"), earned(10, lots=(lot(9),)), stamp=STAMP)
    with pytest.raises(LedgerBroken):
        post(
            Account(member_id="mem_1"), earned(10, lots=(lot(10, state="available"),)), stamp=STAMP
        )


def test_a_lot_that_holds_more_than_it_was_given_breaks_the_books() -> None:
    with pytest.raises(LedgerBroken):
        post(
            Account(member_id="mem_1"),
            earned(10, lots=(lot(5, remaining=10),)),
            stamp=STAMP,
        )


@pytest.mark.parametrize("fields", [{"points": 0, "lots": ()}, {"credit": "issued"}])
def test_a_posting_that_moves_nothing_breaks_the_books(fields: dict[str, object]) -> None:
    with pytest.raises(LedgerBroken):
        post(Account(member_id="mem_1"), replace(earned(10), **fields), stamp=STAMP)  # type: ignore[arg-type]


def test_balances_stay_countable() -> None:
    rich = Account(member_id="mem_1", balances=Balances(pending=2**53 - 10))
    with pytest.raises(BalanceLimitReached):
        post(rich, earned(10), stamp=STAMP)


def test_each_entry_carries_the_hash_of_the_one_before() -> None:
    first = post(Account(member_id="mem_1"), earned(10), stamp=STAMP)
    second = post(first, earned(5, lots=(lot(5, id="lot_2"),)), stamp=STAMP)
    one, two = second.entries
    assert two.previous_hash == one.hash == entry_hash(one)
    assert second.hash == two.hash == entry_hash(two)


def test_the_hash_is_the_same_for_ever() -> None:
    account = post(Account(member_id="mem_1"), earned(259), stamp=STAMP)
    assert account.hash is not None
    written = (
        '["mem_1",1,"earned","issued","pending",259,0,259,0,0,"order","SO-1",null,1,'
        '1795406400000000,1795406400000000,"api_key:1",[["lot_1",259]]]'
    )
    assert account.hash == hashlib.sha256(bytes(32) + written.encode()).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"member_id": "mem_2"},
        {"seq": 2},
        {"kind": "redeemed"},
        {"debit_account": "adjusted"},
        {"credit_account": "available"},
        {"points": 258},
        {"after": Balances(pending=258)},
        {"cause": Cause(kind="order", id="SO-2")},
        {"cause": Cause(kind="order", id="SO-1", reason="gift")},
        {"programme_version": 2},
        {"occurred_at": NOW.replace(microsecond=1)},
        {"stamp": Stamp(at=NOW.replace(microsecond=1), actor="api_key:1")},
        {"stamp": Stamp(at=NOW, actor="api_key:2")},
        {"previous_hash": b"x" * 32},
        {"allocations": ()},
        {"allocations": (Allocation(lot_id="lot_1", points=258),)},
        {"allocations": (Allocation(lot_id="lot_2", points=259),)},
    ],
)
def test_a_change_of_any_column_changes_the_hash(change: dict[str, object]) -> None:
    (entry,) = post(Account(member_id="mem_1"), earned(259), stamp=STAMP).entries
    assert entry_hash(replace(entry, **change)) != entry.hash  # type: ignore[arg-type]


def test_in_which_order_the_lots_are_named_does_not_matter() -> None:
    parts = (Allocation(lot_id="lot_2", points=-1), Allocation(lot_id="lot_1", points=-2))
    (entry,) = post(Account(member_id="mem_1"), earned(259), stamp=STAMP).entries
    one, other = replace(entry, allocations=parts), replace(entry, allocations=parts[::-1])
    assert entry_hash(one) == entry_hash(other)
