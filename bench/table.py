"""The results as a table for people and as JSON for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.measuring import Measured, PerRequest, Row

RESULTS: Final = Path(__file__).parent / "results" / "latest.json"
_PROCESSES: Final = ("service", "gateway", "postgres", "load")
_HEADINGS: Final = (
    "", "callers", "per second", "× raw", "p50 ms", "p99 ms", *(f"{one} µs" for one in _PROCESSES),
    "statements", "writes", "WAL bytes", "others",
)  # fmt: skip


def table(measured: Measured) -> str:
    """One part as a Markdown table; medians, with the least and the most of all rounds."""
    lines = [_HEADINGS, *(_cells(row) for row in measured.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    written = [_line(line, widths) for line in lines]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return f"\n{measured.title}\n\n" + "\n".join(written) + "\n"


def save(parts: Sequence[Measured], *, about: dict[str, Any], path: Path = RESULTS) -> None:
    """Write everything as JSON."""
    path.parent.mkdir(exist_ok=True)
    document = {"about": about, "parts": [asdict(part) for part in parts]}
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    cpu = (row.cpu_us.get(process) for process in _PROCESSES)
    return (
        row.variant,
        str(row.callers),
        row.rate.text(),
        row.ratio.text(2),
        f"{row.p50_ms.median:.2f}",
        f"{row.p99_ms.median:.2f}",
        *(f"{one.median:,.0f}" if one else "–" for one in cpu),
        *_counted(row.counted),
        f"{row.others.median:.0%}",
    )


def _counted(counted: PerRequest | None) -> tuple[str, str, str]:
    if counted is None:
        return "–", "–", "–"
    return f"{counted.statements:.1f}", f"{counted.writes:.2f}", f"{counted.wal_bytes:,.0f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = f"| {cells[0]:<{widths[0]}} |"
    rest = (f" {cell:>{width}} |" for cell, width in zip(cells[1:], widths[1:], strict=True))
    return first + "".join(rest)
