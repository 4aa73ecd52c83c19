"""`python -m tests.soak model` or `crash`: each part is a module of its own with a `main`."""

import importlib
import importlib.util
import sys
from typing import Final

PARTS: Final = ("model", "crash")


def main() -> int:
    """Run one part, with the arguments that follow its name."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    if part not in PARTS:
        sys.stderr.write(f"usage: python -m tests.soak {{{','.join(PARTS)}}} …\n")
        return 2
    name = f"tests.soak.{part}"
    if importlib.util.find_spec(name) is None:
        sys.stderr.write(f"{part}: 未安装，跳过 / not here, skipped\n")
        return 0
    ended: int = importlib.import_module(name).main(sys.argv[2:])
    return ended


if __name__ == "__main__":
    sys.exit(main())
