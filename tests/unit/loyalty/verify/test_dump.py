"""A dump of no ledger at all: what of it is kept."""

from pathlib import Path
from typing import Final

from services.loyalty.verify.__main__ import verify
from services.loyalty.verify.dump import LedgerDump
from services.loyalty.verify.dump_rows import TABLES

WRONG: Final = 500


def dump_of_nonsense(file: Path) -> Path:
    """Every table is there; half of the accounts are cut short, the other half are no numbers."""
    file.write_text(
        "".join(
            f"COPY public.{table.sql} ({', '.join(table.columns)}) FROM stdin;\n"
            + (_nonsense(len(table.columns)) if table.sql == "accounts" else "")
            + "\\.\n"
            for table in TABLES.values()
        )
    )
    return file


def _nonsense(width: int) -> str:
    return ("mem_1\tcut\n" + "\t".join(["mem_2"] * width) + "\n") * WRONG


def test_unreadable_rows_are_counted_yet_only_the_first_are_kept(tmp_path: Path) -> None:
    dump = dump_of_nonsense(tmp_path / "dump.sql")
    audit = verify(dump=dump, most_findings=20)
    assert audit.faults == 2 * WRONG
    assert [one.code for one in audit.findings] == ["row_unreadable"] * 20
    with LedgerDump(dump, most_findings=3) as opened:
        rows = opened.rows()
        assert list(rows.accounts) == []
        assert (opened.unreadable.count, len(opened.unreadable.first)) == (2 * WRONG, 3)
