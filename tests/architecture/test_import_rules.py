"""The import rules hold, and each of them fails on a violation planted for it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
LINT: Final = Path(sys.executable).parent / "lint-imports"

#: Contract id → a file, and the import that must not stand in it.
VIOLATIONS: Final = {
    "house": ("shared/kernel/money.py", "import gateway.policy"),
    "independence": (
        "services/referral/domain/planted.py",
        "import services.loyalty.domain.planted",
    ),
    "rooms": ("services/loyalty/store/planted.py", "import services.loyalty.operations.planted"),
    "gateway-rooms": ("gateway/domain/planted.py", "import gateway.store.tables"),
    "pure": ("services/loyalty/domain/planted.py", "import pydantic"),
    "sql": ("services/loyalty/operations/planted.py", "import sqlalchemy"),
    "web": ("services/referral/operations/planted.py", "import fastapi"),
    "network": ("services/referral/operations/planted.py", "import httpx"),
    "redis": ("services/segmentation/api/planted.py", "import redis"),
    "contracts": ("services/loyalty/store/planted.py", "import shared.contracts.loyalty"),
    "own-contract-loyalty": (
        "services/loyalty/operations/planted.py",
        "import shared.contracts.referral",
    ),
    "own-contract-referral": (
        "services/referral/operations/planted.py",
        "import shared.contracts.loyalty",
    ),
    "own-contract-segmentation": (
        "services/segmentation/operations/planted.py",
        "import shared.contracts.loyalty",
    ),
    "acyclic": ("services/loyalty/domain/planted.py", "import services.loyalty.domain.second"),
}


def test_the_house_keeps_its_import_rules() -> None:
    found = lint(ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("contract", sorted(VIOLATIONS))
def test_a_planted_violation_is_seen(contract: str, tmp_path: Path) -> None:
    for folder in ("shared", "services", "gateway"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=_only_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, line = VIOLATIONS[contract]
    plant(tmp_path, name, line)
    found = lint(tmp_path, contract)
    assert found.returncode == 1, found.stdout
    assert "BROKEN" in found.stdout


def test_every_rule_has_a_planted_violation() -> None:
    rules = {
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.startswith("id = ")
    }
    assert rules == set(VIOLATIONS)


def plant(root: Path, name: str, line: str) -> None:
    """Write the import, and the modules that it needs to exist."""
    target = root / name
    before = target.read_text() if target.exists() else ""
    target.write_text(f"{before}\n{line}\n")
    wanted = line.removeprefix("import ")
    if wanted.endswith((".planted", ".second")):
        other = root / f"{wanted.replace('.', '/')}.py"
        back = f"import {name.removesuffix('.py').replace('/', '.')}\n"
        other.write_text(back if wanted.endswith(".second") else "")


def lint(root: Path, *contracts: str) -> "subprocess.CompletedProcess[str]":
    """Run the import linter over a tree."""
    chosen = [part for contract in contracts for part in ("--contract", contract)]
    return subprocess.run(
        [LINT, "--no-cache", *chosen],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def _only_code(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("__pycache__", "static")]
