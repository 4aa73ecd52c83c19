"""Words for the terminal, always in both languages: the runner does not know its reader."""

import sys

from shared.kernel.texts import text


def both(key: str, **facts: str | int) -> str:
    """The text of a key, Chinese first, then English on a line of its own."""
    chinese = text(key, language="zh-CN", facts=facts)
    english = text(key, language="en", facts=facts)
    return f"{chinese}\n{english}"


def announce(key: str, **facts: str | int) -> None:
    """Print a short text of the catalogue on one line: `中文 / English`."""
    print(both(f"deploy.{key}", **facts).replace("\n", " / "), file=sys.stderr, flush=True)


def relay(name: str, line: str) -> None:
    """Pass on what a process says, as it says it."""
    print(f"[{name}] {line}", file=sys.stderr, flush=True)
