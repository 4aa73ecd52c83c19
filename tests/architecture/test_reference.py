"""The reference ledger is small enough to be read in one go, and shares nothing with us."""

import ast
import sys
from pathlib import Path
from typing import Final

MODEL: Final = Path(__file__).parent.parent / "property" / "loyalty"
LEDGER_LINES: Final = 200


def test_the_reference_ledger_has_at_most_200_lines() -> None:
    ledger = (MODEL / "reference.py").read_text("utf-8")
    assert len(ledger.splitlines()) <= LEDGER_LINES


def test_the_reference_imports_nothing_but_itself() -> None:
    for file in MODEL.glob("reference*.py"):
        assert foreign(file.read_text("utf-8")) == set(), file.name


def test_the_rule_sees_an_import_of_the_service() -> None:
    planted = "from services.loyalty.domain.lots import usage_order\nimport json, shared.kernel"
    assert foreign(planted) == {"services.loyalty.domain.lots", "shared.kernel"}


def foreign(source: str) -> set[str]:
    """What a source imports that is neither the standard library's nor the reference's."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            named.add(node.module or "")
    return {
        name
        for name in named
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("tests.property.loyalty.reference")
    }
