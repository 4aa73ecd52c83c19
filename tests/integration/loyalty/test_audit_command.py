"""The verify command: what it says and how it ends, on a database and on every kind of dump."""

import asyncio
import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.local.binaries import find_postgres
from tests.integration.loyalty.ledger_world import (
    checkpoint,
    dump_of,
    member_ids,
    tamper,
    write_history,
)
from tests.support.service import ServiceUnderTest, Starter

ROOT: Final = Path(__file__).parents[3]
WHO: Final = member_ids(3)[1]


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    service = await start("loyalty")
    await write_history(service, members=3, entries=12)
    assert await checkpoint(service) == 1
    return service


async def command(
    *arguments: str, path: str | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run it as people do."""
    programs = f"{find_postgres().directory}{os.pathsep}{os.environ['PATH']}"
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.loyalty.verify", *arguments],
        cwd=ROOT,
        env={"PATH": programs if path is None else path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def address(loyalty: ServiceUnderTest) -> str:
    return loyalty.database.engine.url.render_as_string(hide_password=False)


async def test_a_ledger_that_agrees_ends_with_0_and_tells_its_last_checkpoint(
    loyalty: ServiceUnderTest,
) -> None:
    found = await command("--database", address(loyalty))
    last = (await loyalty.call("show_ledger_proof")).json()["checkpoint"]
    assert found.returncode == 0, found.stderr
    chinese, english = found.stdout.splitlines()
    assert chinese.startswith("账本完好：会员 3 位，分录 ")
    assert english.endswith(f"Last checkpoint: 1:{last['hash']}")
    again = await command("--database", address(loyalty), "--expect", f"1:{last['hash']}")
    assert again.returncode == 0
    another = await command("--database", address(loyalty), "--expect", f"1:{'0' * 64}")
    assert another.returncode == 1
    assert "checkpoint 1: not as you noted it" in another.stdout


async def test_an_altered_row_ends_with_1_and_is_named_in_both_languages(
    loyalty: ServiceUnderTest,
) -> None:
    await tamper(
        loyalty, f"update point_entries set points = 1 where member_id = '{WHO}' and seq = 4"
    )
    found = await command("--database", address(loyalty))
    assert found.returncode == 1, found.stderr
    assert f"会员 {WHO} 的第 4 条分录被改动：账户、积分或余额" in found.stdout
    assert f"member {WHO}, entry 4: altered in accounts, points or balances" in found.stdout


@pytest.mark.parametrize("kind", ["plain", "gzip", "custom", "shuffled"])
async def test_every_kind_of_dump_is_read(
    loyalty: ServiceUnderTest, tmp_path: Path, kind: str
) -> None:
    options = ["-Fc"] if kind == "custom" else []
    for altered in (False, True):
        dump = await dump_of(loyalty, tmp_path / f"{altered}.dump", *options)
        if kind == "gzip":
            dump.write_bytes(gzip.compress(dump.read_bytes()))
        if kind == "shuffled":
            _shuffle(dump)
        found = await command("--dump", str(dump))
        assert found.returncode == altered, found.stderr + found.stdout
        assert (f"member {WHO}, entry 4: missing" in found.stdout) is altered
        await tamper(loyalty, f"delete from point_entries where member_id = '{WHO}' and seq = 4")


async def test_no_names_leave_a_dump(loyalty: ServiceUnderTest, tmp_path: Path) -> None:
    await tamper(loyalty, f"update members set nickname = E'张\\t三\\\\' where id = '{WHO}'")
    found = await command("--dump", str(await dump_of(loyalty, tmp_path / "loyalty.sql")))
    assert found.returncode == 0, found.stdout + found.stderr


async def test_what_cannot_be_read_ends_with_2_and_says_why(
    loyalty: ServiceUnderTest, tmp_path: Path
) -> None:
    dump = await dump_of(loyalty, tmp_path / "loyalty.sql")
    whole = dump.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: whole.index(b"COPY public.point_entries") + 900])
    (tmp_path / "cut.gz").write_bytes(gzip.compress(whole)[:2000])
    (tmp_path / "other").write_text("hello\n")
    (tmp_path / "twice").write_bytes(whole * 2)
    custom = await dump_of(loyalty, tmp_path / "custom", "-Fc")
    sort_only = tmp_path / "bin"
    sort_only.mkdir()
    (sort_only / "sort").symlink_to(shutil.which("sort") or "/usr/bin/sort")
    wrong = {
        ("--dump", str(tmp_path / "none")): "cannot be opened",
        ("--dump", str(tmp_path / "cut")): "breaks off",
        ("--dump", str(tmp_path / "cut.gz")): "breaks off",
        ("--dump", str(tmp_path / "other")): "has no data of these tables in the schema public",
        ("--dump", str(custom)): "pg_restore is needed",
        ("--database", "postgresql://nobody@127.0.0.1:9/none"): "cannot be read",
        ("--dump", str(tmp_path / "twice")): "holds the table accounts twice",
        (): "which database?",
    }
    for arguments, words in wrong.items():
        found = await command(*arguments, path=str(sort_only))
        assert (found.returncode, found.stdout) == (2, ""), (arguments, found.stderr)
        assert words in found.stderr, found.stderr


async def test_a_damaged_dump_ends_with_2_whichever_byte_it_is(
    loyalty: ServiceUnderTest, tmp_path: Path
) -> None:
    plain = await dump_of(loyalty, tmp_path / "plain")
    packed = gzip.compress(plain.read_bytes())
    custom = (await dump_of(loyalty, tmp_path / "custom", "-Fc")).read_bytes()
    damaged = tmp_path / "damaged"
    wrong = {
        "in the middle": _flipped(packed, len(packed) // 2),
        "in the first block": _flipped(packed, 10),
        "in the check sum": _flipped(packed, len(packed) - 6),
        "not gzip after the first part": packed + b"more",
    }
    for where, content in wrong.items():
        damaged.write_bytes(content)
        found = await command("--dump", str(damaged))
        assert (found.returncode, found.stdout) == (2, ""), (where, found.stderr)
        assert "Traceback" not in found.stderr, where
        # Behind the byte the stream may also seem to go on after its end.
        known = ("damaged cannot be unpacked: it is damaged", "the dump is incomplete: damaged")
        assert any(words in found.stderr for words in known), (where, found.stderr)
    damaged.write_bytes(_flipped(custom, custom.index(b"\x78\x9c") + 3))
    found = await command("--dump", str(damaged))
    assert (found.returncode, found.stdout) == (2, ""), found.stderr
    assert "pg_restore: error: " in found.stderr
    assert "Traceback" not in found.stderr


async def test_a_checkpoint_that_is_not_there_is_said_to_be_so(loyalty: ServiceUnderTest) -> None:
    found = await command("--database", address(loyalty), "--expect", f"7:{'0' * 64}")
    assert found.returncode == 1, found.stderr
    assert "检查点 7 不存在，最新的是 1" in found.stdout
    assert "checkpoint 7: not there, the newest is 1" in found.stdout
    assert "rewritten" not in found.stdout


async def test_what_sort_spills_goes_where_tmpdir_says(
    loyalty: ServiceUnderTest, tmp_path: Path
) -> None:
    dump = await dump_of(loyalty, tmp_path / "loyalty.sql")
    programs, said = tmp_path / "bin", tmp_path / "said"
    programs.mkdir()
    sort = programs / "sort"
    sort.write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$TMPDIR" >> {said}\nexec {shutil.which("sort")} "$@"\n'
    )
    sort.chmod(0o755)
    found = await command("--dump", str(dump), path=str(programs), TMPDIR=str(programs))
    assert found.returncode == 0, found.stderr
    assert set(said.read_text().splitlines()) == {str(programs)}


def _flipped(content: bytes, place: int) -> bytes:
    """One byte is the opposite of what it was."""
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def _shuffle(dump: Path) -> None:
    """Put the rows of each table in the opposite order: a dump promises none."""
    lines, place = dump.read_bytes().split(b"\n"), 0
    while place < len(lines):
        if lines[place].startswith(b"COPY "):
            end = lines.index(b"\\.", place)
            lines[place + 1 : end] = lines[place + 1 : end][::-1]
            place = end
        place += 1
    dump.write_bytes(b"\n".join(lines))
