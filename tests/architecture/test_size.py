"""Files and functions stay small. What is larger already may only shrink (a ratchet)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
SOURCES: Final = ("shared", "services", "gateway", "deploy")
FILE_LINES: Final = 250
FUNCTION_LINES: Final = 40

#: Larger than the limit when the rule came; each number goes down, never up.
LARGER_FILES: Final[dict[str, int]] = {}
LARGER_FUNCTIONS: Final[dict[str, int]] = {}


def test_no_file_is_longer_than_250_lines() -> None:
    found = {name: len(source.splitlines()) for name, source in sources()}
    assert oversized(found, limit=FILE_LINES, allowed=LARGER_FILES) == {}


def test_no_function_is_longer_than_40_lines() -> None:
    found = {
        f"{name}:{function}": lines
        for name, source in sources()
        for function, lines in function_lengths(source)
    }
    assert oversized(found, limit=FUNCTION_LINES, allowed=LARGER_FUNCTIONS) == {}


def test_the_ratchet_holds_no_slack() -> None:
    files = {name: len(source.splitlines()) for name, source in sources()}
    slack = {n: files.get(n) for n, allowed in LARGER_FILES.items() if files.get(n) != allowed}
    assert slack == {}, "write the present number: it only goes down"


def test_the_rule_sees_a_long_function() -> None:
    body = "\n".join(f"    x = {n}" for n in range(FUNCTION_LINES))
    assert function_lengths(f"def long():\n{body}\n") == [("long", FUNCTION_LINES + 1)]
    assert oversized({"long": 41}, limit=40, allowed={}) == {"long": 41}
    assert oversized({"long": 41}, limit=40, allowed={"long": 41}) == {}


def sources() -> Iterator[tuple[str, str]]:
    """Every source file of the product, migrations apart: those are written by a tool."""
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*.py")):
            if "versions" not in file.parts:
                yield str(file.relative_to(ROOT)), file.read_text("utf-8")


def function_lengths(source: str) -> list[tuple[str, int]]:
    """The functions of a source and their lines, decorators and docstring apart.

    Functions that only hold routes are not counted themselves; the routes in them are.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _holds_functions(node):
            first = node.lineno
            words = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or first) - first + 1
            found.append((node.name, lines - (words.count("\n") + 1 if words else 0)))
    return found


def _holds_functions(node: ast.AST) -> bool:
    inner = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.AsyncFunctionDef)]
    return bool(inner)


def oversized(found: dict[str, int], *, limit: int, allowed: dict[str, int]) -> dict[str, int]:
    """What is above the limit and above what the ratchet allows it."""
    return {name: n for name, n in found.items() if n > max(limit, allowed.get(name, 0))}
