"""The audit of the whole ledger: what it keeps in memory, and what it says of checkpoints."""

import gc
import hashlib
from collections.abc import Iterator
from typing import Any, Final

import pytest

from services.loyalty.domain.audit import Audit, Expected, LedgerRows, audit_ledger
from services.loyalty.domain.audit_rows import Finding, Row
from services.loyalty.domain.chain import ACCOUNTS, MEMBER_ACCOUNTS, checkpoint_hash

WRONG: Final = 500
NOTHING: Final = "0" * 64


def ledger(**tables: Any) -> LedgerRows:
    empty: dict[str, Any] = dict.fromkeys(LedgerRows.__dataclass_fields__, ())
    return LedgerRows(**empty | tables)


def checkpoints(count: int) -> list[Row]:
    """So many checkpoints of a ledger with nothing in it."""
    rows: list[Row] = []
    for number in range(1, count + 1):
        content: dict[str, Any] = {
            "members": 0,
            "entries": 0,
            "totals": dict.fromkeys(ACCOUNTS, 0),
            "balances": dict.fromkeys(MEMBER_ACCOUNTS, 0),
            "digest": hashlib.sha256().digest(),
        }
        previous = rows[-1][-1] if rows else None
        own = checkpoint_hash(previous=previous, number=number, taken_at_us=number, **content)
        rows.append((number, number, *content.values(), previous, own))
    return rows


def alive() -> int:
    """How many findings are kept by anybody."""
    return sum(isinstance(one, Finding) for one in gc.get_objects())


def test_what_is_wrong_throughout_is_counted_yet_not_kept() -> None:
    kept: list[int] = []

    def members() -> Iterator[Row]:
        for number in range(WRONG):
            yield (f"mem_{number:03}",)
        kept.append(alive())

    before = alive()
    audit = audit_ledger(ledger(members=members()), most_findings=20)
    assert audit.faults == WRONG
    assert [one.facts["member"] for one in audit.findings] == [f"mem_{n:03}" for n in range(20)]
    assert kept[0] - before <= 22, "those shown, and the ones in hand"


def said_of(expected: Expected, rows: list[Row]) -> list[tuple[str, object]]:
    audit: Audit = audit_ledger(ledger(checkpoints=rows), expected=expected)
    assert audit.faults == len(audit.findings)
    return [(one.code, dict(one.facts)) for one in audit.findings]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_noted_checkpoint_beyond_the_newest_is_absent(count: int) -> None:
    expected = Expected(number=4, hash=NOTHING)
    found = said_of(expected, checkpoints(count))
    assert found == [("checkpoint_absent", {"checkpoint": 4, "newest": count})]


def test_a_noted_checkpoint_that_is_there_is_as_noted_or_not() -> None:
    rows = checkpoints(3)
    assert said_of(Expected(number=2, hash=rows[1][-1].hex()), rows) == []
    found = said_of(Expected(number=3, hash=NOTHING), rows)
    assert found == [("checkpoint_not_as_noted", {"checkpoint": 3})]


@pytest.mark.parametrize(
    ("members", "accounts", "code"),
    [
        (0, 1, "member_missing"),
        (1, 0, "account_missing"),
        (2, 1, "member_twice"),
        (1, 2, "account_twice"),
    ],
)
def test_a_member_has_one_row_and_one_account(members: int, accounts: int, code: str) -> None:
    account: Row = ("mem_1", 0, 0, 0, 0, 0, None)
    rows = ledger(members=[("mem_1",)] * members, accounts=[account] * accounts)
    audit = audit_ledger(rows)
    assert [(one.code, dict(one.facts)) for one in audit.findings] == [(code, {"member": "mem_1"})]
