"""What callers asked for, written down before it is sent, and what they were promised."""

import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "enrol", "order", "completion", "refund", "cancellation", "redeem", "hold", "capture",
    "release", "restore", "transfer",
]  # fmt: skip


@dataclass(kw_only=True)
class Asked:
    """One operation. Its `id` is its Idempotency-Key, and a natural key wherever there is one."""

    id: str
    kind: Kind
    path: str
    body: Mapping[str, Any]
    #: How often it was sent.
    tries: int = 0
    #: None until it is acknowledged: by a 2xx, or by a refusal of the business.
    status: int | None = None
    reply: bytes = b""
    #: Whether its caller walked away without an answer: it may have been done, once, or not.
    abandoned: bool = False

    @property
    def done(self) -> bool:
        """Whether the caller was promised that it has happened."""
        return self.status is not None and self.status < 300

    @property
    def told(self) -> Any:
        """The reply, read."""
        return json.loads(self.reply)


@dataclass(kw_only=True)
class Journal:
    """All operations of a run, also kept in a file for whoever has to find out what went wrong."""

    file: Path
    asked: list[Asked] = field(default_factory=list)
    #: Answers that nobody should ever get.
    strange: list[str] = field(default_factory=list)
    acknowledged: int = 0
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def fresh(self, kind: str) -> str:
        """An id that was never used."""
        return f"{kind}-{self._run}-{next(self._numbers)}"

    def note(self, kind: Kind, path: str, body: Mapping[str, Any], *, id: str) -> Asked:
        """Write down what is about to be asked."""
        asked = Asked(id=id, kind=kind, path=path, body=body)
        self.asked.append(asked)
        self._write({"asked": id, "kind": kind, "path": path, "body": body})
        return asked

    def acknowledge(self, asked: Asked, *, status: int, reply: bytes) -> None:
        """Write down what was promised."""
        asked.status, asked.reply = status, reply
        self.acknowledged += 1
        self._write({"told": asked.id, "status": status, "reply": reply.decode()})

    def abandon(self, asked: Asked) -> None:
        """Write down that nobody waits for the answer any more."""
        asked.abandoned = True
        self._write({"abandoned": asked.id})

    def of(self, kind: Kind) -> Sequence[Asked]:
        """The operations of one kind."""
        return [one for one in self.asked if one.kind == kind]

    def promised(self, kind: Kind) -> Sequence[Asked]:
        """Those of one kind that were acknowledged as done."""
        return [one for one in self.of(kind) if one.done]

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
