"""Whether the ledger is as it was written: `python -m services.loyalty.verify`.

Reads a database (LOYALTY_DATABASE_URL unless --database names another) or a dump, recomputes every
chain, and names the first row that was altered, removed or moved of each member concerned.
Ends with 0 when all agrees, 1 when something does not, 2 when it could not be told.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import asyncpg
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.loyalty.domain.audit import Audit, Expected, audit_ledger
from services.loyalty.store.audit_whole import LedgerDatabase
from services.loyalty.verify.dump import DumpUnusable, LedgerDump
from services.loyalty.verify.report import report, say
from shared.settings import DatabaseUrl

AGREES: Final = 0
DISAGREES: Final = 1
UNKNOWN: Final = 2


class _Address(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="LOYALTY_", hide_input_in_errors=True)
    database_url: DatabaseUrl


def verify(
    *,
    database: str | None = None,
    dump: Path | None = None,
    expected: Expected | None = None,
    most_findings: int = 20,
    on_progress: Callable[[int], None] = lambda _entries: None,
) -> Audit:
    """Audit a database or a dump.

    Raises DumpUnusable, OSError, asyncpg.PostgresError and asyncpg.InterfaceError.
    """
    if dump is None:
        with LedgerDatabase(database or _Address().database_url.get_secret_value()) as opened:
            return audit_ledger(
                opened.rows(),
                most_findings=most_findings,
                expected=expected,
                on_progress=on_progress,
            )
    with LedgerDump(dump, most_findings=most_findings) as read:
        audit = audit_ledger(
            read.rows(), most_findings=most_findings, expected=expected, on_progress=on_progress
        )
        return replace(
            audit,
            faults=audit.faults + read.unreadable.count,
            findings=(*read.unreadable.first, *audit.findings)[:most_findings],
        )


def main() -> int:
    """Run as a program."""
    given = _arguments()
    try:
        audit = verify(
            database=given.database,
            dump=given.dump,
            expected=given.expect,
            on_progress=lambda entries: say("progress", entries=f"{entries:,}"),
        )
        report(audit)
    except DumpUnusable as unusable:
        say(unusable.code, **unusable.facts)
        return UNKNOWN
    except ValidationError:
        say("no_database")
        return UNKNOWN
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        say("database_unreachable", reason=f"{type(error).__name__}: {error}")
        return UNKNOWN
    except Exception as error:
        # Python would end with 1, which says that the ledger disagrees: nobody has found that.
        say("not_foreseen", reason=type(error).__name__)
        return UNKNOWN
    return DISAGREES if audit.faults else AGREES


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.loyalty.verify", description=__doc__.partition("\n")[0]
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--database", metavar="URL", help="a loyalty database")
    source.add_argument("--dump", metavar="FILE", type=Path, help="a pg_dump of one, or its gzip")
    parser.add_argument(
        "--expect",
        metavar="NUMBER:HASH",
        type=_expected,
        help="a checkpoint as you noted it: also finds a history that was rewritten as a whole",
    )
    return parser.parse_args()


def _expected(given: str) -> Expected:
    number, _, digits = given.partition(":")
    if not number.isdecimal() or len(digits) != 64:
        raise argparse.ArgumentTypeError("must be a number and 64 hexadecimal digits, as 12:ab…")
    return Expected(number=int(number), hash=digits.lower())


if __name__ == "__main__":
    sys.exit(main())
