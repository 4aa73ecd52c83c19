"""All that a system has on record, in a form in which two systems can be compared.

Two systems that lived the same life differ in what is drawn at random: ids, codes, hashes of rows
that hold ids. Ids are told apart by what is on record about them (colour refinement): two ids get
the same name when, and only when, everything that is said with them is the same.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from tests.support.service import ServiceUnderTest, metadata_of

#: Differs between any two systems, or between two ways of moving the clock, and says nothing.
#: Kept replies have random keys; the ledger is proven whenever a job happens to come by.
_LEFT_OUT: Final = {
    "test_clock", "idempotency_keys", "member_replies", "clock_advances",
    "ledger_checkpoints", "ledger_checkpoint_heads", "ledger_reconciliations",
}  # fmt: skip
_RANDOM_COLUMNS: Final = {"traceparent", "epoch"}
_ID: Final = re.compile(r"\b([a-z]{2,5})_([0-9a-hjkmnp-tv-z]{10})[0-9a-hjkmnp-tv-z]{16}\b")
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TOKEN: Final = re.compile(f"{_ID.pattern}|{_UUID.pattern}")
_ROUNDS: Final = 6

State = dict[str, Counter[str]]


async def state_of(services: Mapping[str, ServiceUnderTest]) -> State:
    """Every row of every table, by service and table, with ids named by what they are."""
    rows = [
        (f"{name}.{table}", line)
        for name in ("loyalty", "referral", "segmentation")
        for table in sorted(set(metadata_of(name).tables) - _LEFT_OUT)
        for line in await _lines(services[name], table)
    ]
    codes = re.compile("|".join(map(re.escape, await _codes(services))) or "(?!)")
    rows = [(table, codes.sub("code", line)) for table, line in rows]
    names: dict[str, str] = {}
    for _ in range(_ROUNDS):
        said: dict[str, list[str]] = {}
        for table, line in rows:
            for token in {found.group() for found in _TOKEN.finditer(line)}:
                # Where in the row it stands is part of what is said of it.
                here = line.replace(token, "*")
                said.setdefault(token, []).append(f"{table} {_named(here, names)}")
        names = {
            token: _kind(token) + "_" + _digest("\n".join(sorted(lines)))
            for token, lines in said.items()
        }
    state: State = {}
    for table, line in rows:
        state.setdefault(table, Counter())[_named(line, names)] += 1
    return state


async def _codes(services: Mapping[str, ServiceUnderTest]) -> list[str]:
    """All that was drawn at random to be read aloud."""
    vouchers = await services["loyalty"].rows("select code from vouchers")
    referral = await services["referral"].rows("select code from referral_codes")
    return [row.code for row in (*vouchers, *referral)]


async def _lines(service: ServiceUnderTest, table: str) -> list[str]:
    return [
        " | ".join(f"{name}={_shown(name, value)}" for name, value in row._mapping.items())
        for row in await service.rows(f"select * from {table}")
    ]


def _shown(column: str, value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return "bytes"
    return "random" if column in _RANDOM_COLUMNS else str(value)


def _named(line: str, names: Mapping[str, str]) -> str:
    return _TOKEN.sub(lambda found: names.get(found.group(), _kind(found.group())), line)


def _kind(token: str) -> str:
    """What a token shows of itself: its prefix and its moment, nothing of a UUID."""
    found = _ID.fullmatch(token)
    return f"{found.group(1)}_{found.group(2)}" if found else "uuid"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def differences(one: State, other: State) -> list[str]:
    """Rows that one has and the other has not, a few of each table."""
    found = []
    for table in sorted(one.keys() | other.keys()):
        mine, yours = one.get(table, Counter()), other.get(table, Counter())
        found += [f"only in the first: {table}: {line}" for line in list(mine - yours)[:3]]
        found += [f"only in the second: {table}: {line}" for line in list(yours - mine)[:3]]
    return found
