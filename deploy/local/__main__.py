"""`python -m deploy.local run | first-key | psql <service> | verify`."""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from deploy.local.attached import first_key, psql, verify
from deploy.local.failures import EXIT_USAGE, CannotRun
from deploy.local.running import run
from deploy.local.settings import RunSettings


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the whole system until Ctrl-C")
    commands.add_parser("first-key", help="make a manager key for the running system")
    on = commands.add_parser("psql", help="open psql on a service's database")
    on.add_argument("service", choices=["loyalty", "referral", "segmentation", "gateway"])
    audit = commands.add_parser("verify", help="audit loyalty's ledger, or a dump of it")
    audit.add_argument("--dump", type=Path)
    audit.add_argument("--expect", metavar="NUMBER:HASH")
    arguments = parser.parse_args()
    try:
        _do(arguments, RunSettings())
    except ValidationError as refusal:
        for error in refusal.errors():
            name = ".".join(str(part) for part in error["loc"])
            print(f"{name}: {error['msg']}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except CannotRun as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.exit_code)


def _do(arguments: argparse.Namespace, settings: RunSettings) -> None:
    if arguments.command == "run":
        run(settings)
    elif arguments.command == "first-key":
        first_key(settings)
    elif arguments.command == "verify":
        verify(settings, dump=arguments.dump, expect=arguments.expect)
    else:
        psql(settings, name=arguments.service)


if __name__ == "__main__":
    main()
