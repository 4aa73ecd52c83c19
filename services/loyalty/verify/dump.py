"""The ledger read from a dump of the database, as `pg_dump` writes it.

A dump is in no order, so each table goes through `sort`, which spills to disk: memory stays small
whatever the size. Only the columns of the ledger leave the dump; no name or phone is spilled.
Only the schema `public` is the ledger, where the service has it: a copy elsewhere proves nothing.
"""

import gzip
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, cast

from pydantic_settings import BaseSettings

from services.loyalty.domain.audit import LedgerRows
from services.loyalty.domain.audit_rows import Finding, Findings, Row
from services.loyalty.verify.dump_rows import TABLES, DumpTable, Unreadable, parsed

# pg_dump qualifies every name and quotes those that need it, or all with --quote-all-identifiers.
_HEADER: Final = re.compile(
    rb'COPY (?:public|"public")\.(?:([a-z_]+)|"([a-z_]+)") \(([^()]*)\) FROM stdin;\n'
)
# Exact: a column " points" beside `points` is another one.
_UNQUOTED: Final = re.compile(r'^"(.*)"$')
_END: Final = b"\\.\n"
_CUSTOM: Final = b"PGDMP"
_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 20


class DumpUnusable(Exception):
    """The dump cannot be audited; `code` says why, in the words under `verify.<code>`."""

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts


class _Spilling(BaseSettings):
    #: Where `sort` may spill, as it is named everywhere; without it `sort` has a place of its own.
    tmpdir: str = ""


class LedgerDump:
    """A dump opened for an audit. Raises DumpUnusable."""

    def __init__(self, path: Path, *, most_findings: int = 20) -> None:
        self._path = path
        self._stack = ExitStack()
        self._sorted: dict[str, subprocess.Popen[bytes]] = {}
        #: Rows that no database could have written; they are left out of the audit.
        self.unreadable = Findings(most_findings)

    def __enter__(self) -> Self:
        """Read the dump and hand each table to its `sort`."""
        self._program = _program("sort")
        try:
            with _opened(self._path) as dump:
                self._split(dump)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def rows(self) -> LedgerRows:
        """All tables, in order."""
        missing = sorted(TABLES.keys() - self._sorted.keys())
        if missing:
            raise DumpUnusable("table_missing", tables=", ".join(missing))
        return LedgerRows(**{table.name: self._rows(table) for table in TABLES.values()})

    def _split(self, dump: IO[bytes]) -> None:
        lines = iter(dump)
        for line in lines:
            found = _HEADER.fullmatch(line)
            if found is not None:
                table, names = _named(found)
                if table is not None:
                    self._sort(table, names, lines)

    def _sort(self, table: DumpTable, names: list[str], lines: Iterator[bytes]) -> None:
        """Pass a table's columns on to a `sort`, whose output is read later."""
        if table.sql in self._sorted:
            # Either could be the one that the database has.
            raise DumpUnusable("table_twice", name=table.sql)
        absent = set(table.columns) - set(names)
        if absent:
            raise DumpUnusable("column_missing", name=f"{table.sql}.{min(absent)}")
        places = [names.index(name) for name in table.columns]
        process = self._start_sort(table)
        self._sorted[table.sql] = process
        assert process.stdin is not None
        write = process.stdin.write
        for line in lines:
            if line == _END:
                break
            fields = line[:-1].split(b"\t")
            if len(fields) == len(names):
                write(b"\t".join([fields[place] for place in places]) + b"\n")
            else:
                self._note(table, [field.decode(errors="replace") for field in fields])
        else:
            raise DumpUnusable("dump_cut", name=table.sql)
        process.stdin.close()

    def _start_sort(self, table: DumpTable) -> "subprocess.Popen[bytes]":
        command = [self._program, "-s", "-t", "\t", "-S", "128M", *table.order]
        place = _Spilling().tmpdir
        process = subprocess.Popen(  # noqa: S603 - constants
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"LC_ALL": "C"} | ({"TMPDIR": place} if place else {}),
        )
        self._stack.callback(_end, process)
        return process

    def _rows(self, table: DumpTable) -> Iterator[Row]:
        process = self._sorted[table.sql]
        assert process.stdout is not None
        for line in process.stdout:
            fields = line[:-1].decode(errors="replace").split("\t")
            try:
                yield parsed(table, fields)
            except Unreadable:
                self._note(table, fields)
        if process.wait() != 0:
            raise DumpUnusable("program_failed", name="sort")

    def _note(self, table: DumpTable, fields: list[str]) -> None:
        row = " ".join(field[:64] for field in fields[:2])
        self.unreadable.add(Finding("row_unreadable", {"table": table.sql, "row": row}))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The plain SQL of a dump: as it is, out of gzip, or out of PostgreSQL's own format."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_CUSTOM))
    except OSError as error:
        raise DumpUnusable("dump_absent", name=str(path), reason=error.strerror or "") from error
    if begin == _CUSTOM:
        with _restored(path) as file:
            yield file
    elif begin.startswith(_GZIP):
        with _unpacked(path) as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path, "rb") as unpacked:
            try:
                yield cast("IO[bytes]", unpacked)
            finally:
                # A damaged byte may look like an unusable dump before the check sum tells of it.
                while unpacked.read(_PIECE):
                    pass
    except EOFError as error:
        raise DumpUnusable("dump_cut", name=path.name) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DumpUnusable("dump_damaged", name=path.name) from error


@contextmanager
def _restored(path: Path) -> Iterator[IO[bytes]]:
    command = [_program("pg_restore"), "--data-only", "-f", "-", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own words
        assert process.stdout is not None
        yield process.stdout
        process.stdout.read()
    if process.returncode != 0:
        raise DumpUnusable("program_failed", name="pg_restore")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DumpUnusable("program_missing", name=name)
    return found


def _named(header: re.Match[bytes]) -> tuple[DumpTable | None, list[str]]:
    """`COPY public.point_entries (member_id, seq) FROM stdin;` as the table and its columns."""
    bare, quoted, columns = header.groups(default=b"")
    names = [_UNQUOTED.sub(r"\1", one) for one in columns.decode(errors="replace").split(", ")]
    return TABLES.get((bare or quoted).decode()), names


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()
