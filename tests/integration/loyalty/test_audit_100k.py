"""A hundred thousand entries, and a byte or a value altered anywhere among them: it is found.

Members are independent of one another, so one audit tries as many alterations as there are
members to hold them, and must name each of these members and nobody else.
"""

import gzip
import random
from pathlib import Path
from typing import Final

from services.loyalty.domain.chain import HASHED_COLUMNS
from tests.integration.loyalty.ledger_world import (
    audited,
    audited_dump,
    checkpoint,
    dump_of,
    named,
    tamper,
    without_checks,
    write_history,
)
from tests.support.service import ServiceUnderTest, Starter

MEMBERS: Final = 2_000
ALTERED: Final = 400
AMOUNTS: Final = ("points", "available_after", "pending_after", "held_after", "debt_after")
FACTS: Final = (
    "kind", "cause_kind", "cause_id", "reason", "programme_version", "occurred_at", "recorded_at",
    "actor",
)  # fmt: skip
#: As what an altered column is named.
GROUPS: Final = {
    **{f"point_entries.{name}": "amounts" for name in AMOUNTS},
    **{f"point_entries.{name}": "facts" for name in FACTS},
    "point_entries.hash": "hash",
    "point_entries.previous_hash": "previous_hash",
    "lot_allocations.lot_id": "allocations",
    "lot_allocations.points": "allocations",
}
#: How to alter a value of each type by one bit.
BYTES: Final = "set_byte({0}, {1} % length({0}), get_byte({0}, {1} % length({0})) # (1 << {1} % 8))"
TEXT: Final = (
    "overlay(coalesce({0}, '.') placing"
    " chr(ascii(substr(coalesce({0}, '.'), 1 + {1} % length(coalesce({0}, '.')), 1)) # 1)"
    " from 1 + {1} % length(coalesce({0}, '.')) for 1)"
)
WAYS: Final = {
    "text": TEXT,
    "bigint": "{0} # (1::bigint << {1} % 40)",
    "integer": "{0} # (1 << {1} % 20)",
    "timestamp with time zone": "{0} + interval '1 microsecond' * (1 << {1} % 20)",
    "bytea": BYTES,
}


async def test_whatever_is_altered_among_100_000_entries_is_found(
    start: Starter, tmp_path: Path
) -> None:
    loyalty = await start("loyalty")
    await write_history(loyalty, members=MEMBERS, entries=40)
    assert await checkpoint(loyalty) == 1
    await write_history(loyalty, members=MEMBERS, entries=10)
    assert await checkpoint(loyalty) == 1
    dump = await dump_of(loyalty, tmp_path / "loyalty.sql")
    for clean in (await audited(loyalty), await audited_dump(dump)):
        assert (clean.faults, clean.checkpoints) == (0, 2)
        assert clean.entries >= 100_000
    await _any_flipped_bit_of_a_dump_is_found(dump)
    await _any_altered_value_of_the_database_is_found(loyalty)


async def _any_flipped_bit_of_a_dump_is_found(dump: Path) -> None:
    altered, expected = _with_flipped_bits(dump)
    audit = await audited_dump(altered)
    assert expected <= named(audit), sorted(expected - named(audit))
    assert _strangers(named(audit), expected) == set()


def _with_flipped_bits(dump: Path) -> tuple[Path, set[str]]:
    """A copy of the dump in which a bit of one row each of many members is flipped; and of whom."""
    lines = dump.read_bytes().split(b"\n")
    chance = random.Random(20261125)
    expected: set[str] = set()
    for table in (b"point_entries", b"lot_allocations"):
        begin = next(n for n, line in enumerate(lines) if line.startswith(b"COPY public." + table))
        end = lines.index(b"\\.", begin)
        member_at = lines[begin].split(b"(")[1].split(b", ").index(b"member_id")
        for place in chance.sample(range(begin + 1, end), ALTERED // 2):
            member_id = lines[place].split(b"\t")[member_at].decode()
            if member_id not in expected:
                expected.add(member_id)
                lines[place] = _flipped(lines[place], chance)
    altered = dump.with_suffix(".altered.gz")
    with gzip.open(altered, "wb", compresslevel=1) as file:
        file.write(b"\n".join(lines))
    return altered, expected


async def _any_altered_value_of_the_database_is_found(loyalty: ServiceUnderTest) -> None:
    chance = random.Random(20261125)
    await without_checks(loyalty)
    expected: dict[str, tuple[str, int]] = {}
    for table, number in (("point_entries", "seq"), ("lot_allocations", "entry_seq")):
        columns = await _columns(loyalty, table)
        rows = await loyalty.rows(
            f"select distinct on (member_id) member_id, {number} as seq, ctid::text as place"
            f" from {table} where mod(right(member_id, 4)::int, 2) = :half and {number} > 1"
            f" order by member_id, md5({number} || member_id)",
            half=int(table == "point_entries"),
        )
        for row in chance.sample(rows, ALTERED // 2):
            name, kind = chance.choice(columns)
            value = WAYS[kind].format(name, chance.randrange(40))
            await tamper(loyalty, f"update {table} set {name} = {value} where ctid = '{row.place}'")
            expected[row.member_id] = (f"{table}.{name}", row.seq)
    audit = await audited(loyalty)
    by_member = {str(found.facts.get("member")): found.facts for found in audit.findings}
    assert set(expected) <= set(by_member)
    for member_id, (column, seq) in expected.items():
        if column in GROUPS:
            facts = by_member[member_id]
            assert (facts["seq"], facts["columns"]) == (seq, GROUPS[column]), (column, facts)
    assert _strangers(named(audit), set(expected)) == set()


async def _columns(loyalty: ServiceUnderTest, table: str) -> list[tuple[str, str]]:
    rows = await loyalty.rows(
        "select column_name, data_type from information_schema.columns"
        " where table_name = :table order by ordinal_position",
        table=table,
    )
    found = [(row.column_name, row.data_type) for row in rows]
    if table == "point_entries":
        assert {name for name, _ in found} == {*HASHED_COLUMNS, "previous_hash", "hash"}
    return found


def _flipped(line: bytes, chance: random.Random) -> bytes:
    changed = bytearray(line)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _strangers(found: set[str], altered: set[str]) -> set[str]:
    """Members of whom something was found though nothing of theirs was altered.

    An altered id may have become that of another member, who then has a row too many.
    """
    known = {f"mem_{number:026}" for number in range(MEMBERS)}
    return {one for one in (found & known) - altered if not any(_near(one, id) for id in altered)}


def _near(one: str, other: str) -> bool:
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1
