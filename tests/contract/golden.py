"""Write the golden copies that are missing: `python -m tests.contract.golden`.

What is there already is never written again: it is what others were promised.
"""

import json
from pathlib import Path
from typing import Any

from tests.contract import events, operations


def write_missing_events(folder: Path) -> list[Path]:
    """A schema and an example for every type of event that has none; says which were written."""
    written = []
    for name, event in events.event_types().items():
        golden = {
            folder / f"{name}.schema.json": event.model_json_schema(),
            folder / f"{name}.example.json": events.example_of(event),
        }
        for path, content in golden.items():
            if not path.exists():
                _write(path, content)
                written.append(path)
    return written


def write_missing_operations(file: Path) -> list[str]:
    """An entry for every operation that has none; says which were written."""
    golden = json.loads(file.read_text("utf-8")) if file.exists() else {}
    present = operations.present_operations()
    missing = sorted(present.keys() - golden.keys())
    if missing:
        added = {name: present[name] for name in missing}
        _write(file, dict(sorted({**golden, **added}.items())))
    return missing


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    for new in write_missing_events(events.GOLDEN):
        print(new.name)
    for operation in write_missing_operations(operations.GOLDEN):
        print(operation)
