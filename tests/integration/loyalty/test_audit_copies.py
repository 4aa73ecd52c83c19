"""Clean copies of the ledger, wherever they stand, do not hide that the ledger was altered."""

import os
from pathlib import Path
from typing import Final

import pytest

from deploy.local.binaries import find_postgres
from services.loyalty.domain.audit import Audit
from services.loyalty.verify.dump import DumpUnusable
from services.loyalty.verify.dump_rows import TABLES
from tests.integration.loyalty.ledger_world import (
    audited,
    audited_dump,
    checkpoint,
    dump_of,
    member_ids,
    tamper,
    without_checks,
    write_history,
)
from tests.support.service import ServiceUnderTest, Starter

WHO: Final = member_ids(3)[1]
FORGERY: Final = (
    f"update public.point_entries set points = points + 1 where member_id = '{WHO}' and seq = 4"
)
FOUND: Final = [("entry_altered", {"member": WHO, "seq": 4, "columns": "amounts"})]


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    service = await start("loyalty")
    await write_history(service, members=3, entries=12)
    assert await checkpoint(service) == 1
    return service


async def copied(loyalty: ServiceUnderTest, schema: str) -> None:
    """Copy the whole ledger, as it is, into a schema of its own."""
    await tamper(
        loyalty,
        f'create schema "{schema}"',
        *(f'create table "{schema}".{name} as table public.{name}' for name in TABLES),
    )


def findings(audit: Audit) -> list[tuple[str, object]]:
    return [(one.code, dict(one.facts)) for one in audit.findings]


@pytest.mark.parametrize("schema", ["aa_copy", "zz_copy", "zz.public", 'zz"."public'])
@pytest.mark.parametrize("options", [(), ("--quote-all-identifiers",), ("-Fc",)])
async def test_copies_in_another_schema_of_a_dump_are_not_the_ledger(
    loyalty: ServiceUnderTest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    schema: str,
    options: tuple[str, ...],
) -> None:
    programs = f"{find_postgres().directory}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", programs)  # for the pg_restore that belongs to this pg_dump
    await copied(loyalty, schema.replace('"', '""'))
    await tamper(loyalty, FORGERY)
    dump = await dump_of(loyalty, tmp_path / "loyalty.dump", *options)
    assert findings(await audited_dump(dump)) == FOUND


async def test_a_dump_whose_ledger_lies_in_another_schema_only_is_refused(
    loyalty: ServiceUnderTest, tmp_path: Path
) -> None:
    await copied(loyalty, "zz_copy")
    dump = await dump_of(loyalty, tmp_path / "loyalty.sql", "--schema=zz_copy")
    with pytest.raises(DumpUnusable) as refused:
        await audited_dump(dump)
    assert refused.value.code == "table_missing"


@pytest.mark.parametrize("name", sorted(TABLES))
async def test_a_dump_with_a_table_twice_is_refused(
    loyalty: ServiceUnderTest, tmp_path: Path, name: str
) -> None:
    clean = (await dump_of(loyalty, tmp_path / "clean.sql")).read_bytes()
    begin = clean.index(f"COPY public.{name} (".encode())
    end = clean.index(b"\n\\.\n", begin) + 4
    await tamper(loyalty, FORGERY)
    dump = await dump_of(loyalty, tmp_path / "forged.sql")
    for added in (clean[begin:end], clean[begin:end].replace(b"public", b'"public"', 1)):
        twice = tmp_path / "twice.sql"
        twice.write_bytes(dump.read_bytes() + added)
        with pytest.raises(DumpUnusable) as refused:
            await audited_dump(twice)
        assert (refused.value.code, refused.value.facts) == ("table_twice", {"name": name})


async def test_a_copy_in_a_comment_is_a_table_that_comes_twice(
    loyalty: ServiceUnderTest, tmp_path: Path
) -> None:
    clean = (await dump_of(loyalty, tmp_path / "clean.sql")).read_text()
    begin = clean.index("COPY public.point_entries (")
    block = clean[begin : clean.index("\n\\.\n", begin) + 4]
    await tamper(
        loyalty,
        FORGERY,
        "do $do$ begin execute "
        f"format('comment on table members is %L', $words$\n{block}$words$); end $do$",
    )
    with pytest.raises(DumpUnusable) as refused:
        await audited_dump(await dump_of(loyalty, tmp_path / "forged.sql"))
    assert refused.value.code == "table_twice"


async def test_a_schema_of_the_callers_own_name_does_not_hide_the_ledger(
    loyalty: ServiceUnderTest,
) -> None:
    await copied(loyalty, await loyalty.scalar("select current_user"))
    await tamper(loyalty, FORGERY)
    assert await loyalty.scalar("select 'accounts'::regclass = 'public.accounts'::regclass") is (
        False
    ), "the copies are what an unqualified name means"
    assert findings(await audited(loyalty)) == FOUND


async def test_a_search_path_of_the_database_does_not_hide_the_ledger(
    loyalty: ServiceUnderTest,
) -> None:
    await copied(loyalty, "zz_copy")
    name = await loyalty.scalar("select current_database()")
    await tamper(
        loyalty, FORGERY, f'alter database "{name}" set search_path = zz_copy, public, pg_catalog'
    )
    assert findings(await audited(loyalty)) == FOUND


async def test_a_column_that_only_looks_like_the_ledgers_is_not_read(
    loyalty: ServiceUnderTest, tmp_path: Path
) -> None:
    await tamper(
        loyalty,
        'alter table point_entries rename column points to " points"',
        "alter table point_entries add column points bigint",
        'update point_entries set points = " points"',
        FORGERY,
    )
    dump = await dump_of(loyalty, tmp_path / "loyalty.sql")
    assert findings(await audited_dump(dump)) == FOUND
    assert findings(await audited(loyalty)) == FOUND


@pytest.mark.parametrize(
    ("table", "change", "code"),
    [
        ("members", "'nickname', 'another'", "member_twice"),
        ("accounts", "'available', available + 5", "account_twice"),
        ("accounts", "'entry_hash', null", "account_twice"),
    ],
)
async def test_a_second_row_of_a_member_is_named(
    loyalty: ServiceUnderTest, tmp_path: Path, table: str, change: str, code: str
) -> None:
    await without_checks(loyalty)
    key = "id" if table == "members" else "member_id"
    await tamper(
        loyalty,
        f"alter table {table} drop constraint if exists {table}_pkey cascade",
        f"insert into {table} select (jsonb_populate_record(was, jsonb_build_object({change}))).*"
        f" from {table} was where {key} = '{WHO}'",
    )
    expected = [(code, {"member": WHO})]
    assert findings(await audited(loyalty)) == expected
    dump = await dump_of(loyalty, tmp_path / "loyalty.sql")
    assert findings(await audited_dump(dump)) == expected
