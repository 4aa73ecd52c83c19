"""How long a whole ledger takes to verify: `python -m bench.verifying [--entries 1000000]`.

Fills a database as the bench does, chains its entries by the product's own hash, then runs the
product's `verify` on it and on a dump of it. `pg_dump` of the same database is the baseline: what
it takes PostgreSQL to read the ledger out at all.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import asyncpg

from bench.failures import RunFailed
from bench.fill import ENTRIES_PER_MEMBER
from bench.site import filled
from bench.world import World
from deploy.local.binaries import find_postgres
from deploy.local.failures import CannotRun
from services.loyalty.domain.chain import HASHED_COLUMNS, microseconds, row_hash

_MOMENTS: Final = ("occurred_at", "recorded_at")
_PIECE: Final = 50_000
_ENTRIES: Final = f"""
    select {", ".join(f"entries.{name}" for name in HASHED_COLUMNS)}, parts.lot_id,
      parts.points as part
    from point_entries as entries
    left join lot_allocations as parts
      on parts.member_id = entries.member_id and parts.entry_seq = entries.seq
    order by entries.member_id, entries.seq
"""  # noqa: S608 - constants
# As a superuser may: the ledger itself refuses to be changed.
_CHAIN: Final = """
    set session_replication_role = replica;
    update point_entries set hash = chained.hash, previous_hash = chained.previous_hash
    from chained
    where (point_entries.member_id, point_entries.seq) = (chained.member_id, chained.seq);
    update accounts set entry_hash = hash from chained
    where accounts.member_id = chained.member_id and accounts.entry_seq = chained.seq;
    drop table chained;
    vacuum (analyze) point_entries;
"""


async def chain(url: str) -> int:
    """Give all entries their true hashes; says how many there are."""
    connection = await asyncpg.connect(url, command_timeout=3600)
    await connection.execute(
        "create unlogged table chained"
        " (member_id text, seq bigint, hash bytea, previous_hash bytea)"
    )
    rows: list[tuple[str, int, bytes, bytes | None]] = []
    count, head = 0, None
    async with connection.transaction():
        async for row in connection.cursor(_ENTRIES, prefetch=_PIECE):
            previous = head if row["seq"] > 1 else None
            columns = [
                microseconds(row[name]) if name in _MOMENTS else row[name]
                for name in HASHED_COLUMNS
            ]
            moved = [(row["lot_id"], row["part"])] if row["lot_id"] is not None else []
            head = row_hash(previous=previous, columns=columns, allocations=moved)
            rows.append((row["member_id"], row["seq"], head, previous))
            count += 1
            if len(rows) == _PIECE:
                await connection.copy_records_to_table("chained", records=rows)
                rows = []
    await connection.copy_records_to_table("chained", records=rows)
    for statement in filter(str.strip, _CHAIN.split(";")):
        await connection.execute(statement)
    await connection.close()
    return count


def timed(command: Sequence[str], *, output: Path | None = None) -> tuple[float, float]:
    """Seconds by the clock and of processor time that a program takes. Raises RunFailed."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with (output or Path("/dev/null")).open("wb") as file:
        done = subprocess.run(command, stdout=file, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RunFailed(f"{' '.join(command[:3])} ended with {done.returncode}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


async def run(entries: int) -> None:
    """Fill, chain, verify, print."""
    async with World() as world:
        print(f"  filling and chaining {entries:,} entries", file=sys.stderr, flush=True)
        await filled(world, members=entries // ENTRIES_PER_MEMBER, database="loyalty")
        url = world.admin_url("loyalty")
        count = await chain(url)
        dump = world.log("loyalty-dump")
        verify = (sys.executable, "-m", "services.loyalty.verify")
        pg_dump = str(find_postgres().directory / "pg_dump")
        print(f"\nverify: {count:,} entries\n\n| | seconds | of its processor | × pg_dump |")
        print("|-|-|-|-|")
        base = timed((pg_dump, "--dbname", url), output=dump)
        for name, (wall, used) in {
            "pg_dump": base,
            "verify, of the database": timed((*verify, "--database", url)),
            "verify, of the dump": timed((*verify, "--dump", str(dump))),
        }.items():
            print(f"| {name} | {wall:.1f} | {used:.1f} | {wall / base[0]:.1f} |", flush=True)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m bench.verifying")
    parser.add_argument("--entries", type=int, default=1_000_000)
    try:
        asyncio.run(run(parser.parse_args().entries))
    except (CannotRun, RunFailed) as failure:
        sys.exit(f"{failure}")


if __name__ == "__main__":
    main()
