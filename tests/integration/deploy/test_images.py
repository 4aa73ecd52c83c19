"""Each image holds all that its process imports, and of the product nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PACKAGES = ["services.loyalty", "services.referral", "services.segmentation", "gateway"]


@pytest.mark.parametrize("package", PACKAGES)
def test_an_image_holds_what_its_process_needs(package: str, tmp_path: Path) -> None:
    dockerfile = CHECKOUT.joinpath(*package.split("."), "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(\S+) (\S+)$", dockerfile, re.MULTILINE)
    for source, target in copied:
        if not target.startswith("/"):
            _copy(CHECKOUT / source, tmp_path / target)
    outcome = subprocess.run(
        [sys.executable, "-I", "-c", _IMPORT, str(tmp_path), package],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    others = set(PACKAGES)
    for other in others - {package}:
        assert not tmp_path.joinpath(*other.split(".")).exists()
    assert f"shared.migrate {package} &&" in dockerfile
    assert f"exec uvicorn {package}.main:app" in dockerfile


_IMPORT = """
import sys, importlib
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2] + ".main")
importlib.import_module("shared.migrate")
outside = [n for n in sys.modules if n.split(".")[0] in ("deploy", "tests")]
sys.exit(f"imports {outside}" if outside else 0)
"""


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "static"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
