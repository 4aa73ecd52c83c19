"""How rows of the ledger and checkpoints are hashed: one definition, from plain values.

The service hashes what it is about to write, the audits what they read; neither has a way of its
own. A row is written as a JSON array without spaces, UTF-8 as it is, and hashed with SHA-256
after the hash before it (32 zero bytes where there is none). Moments are microseconds since 1970
UTC, so no time zone or format can come between.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

#: The columns of an entry that its hash covers, in this order; its allocations follow.
HASHED_COLUMNS: Final = (
    "member_id", "seq", "kind", "debit_account", "credit_account", "points", "available_after",
    "pending_after", "held_after", "debt_after", "cause_kind", "cause_id", "reason",
    "programme_version", "occurred_at", "recorded_at", "actor",
)  # fmt: skip
#: All accounts, in the order in which totals are hashed: the member's first.
MEMBER_ACCOUNTS: Final = ("available", "pending", "held", "debt")
PROGRAMME_ACCOUNTS: Final = (
    "issued", "redeemed", "expired", "clawed_back", "adjusted", "transferred", "written_off",
)  # fmt: skip
ACCOUNTS: Final = MEMBER_ACCOUNTS + PROGRAMME_ACCOUNTS

Plain = str | int | None
_NO_HASH: Final = bytes(32)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """A moment as microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def row_hash(
    *,
    previous: bytes | None,
    columns: Sequence[Plain],
    allocations: Iterable[tuple[str, int]],
) -> bytes:
    """The hash of an entry: HASHED_COLUMNS, then `[lot_id, points]` of each lot it moved, sorted.

    So which lots paid is proven as well as what was paid. Some microseconds; it is in the hot path.
    """
    written = orjson.dumps([*columns, sorted(allocations)])
    return hashlib.sha256((previous or _NO_HASH) + written).digest()


def head_line(*, member_id: str, seq: int, entry_hash: bytes | None) -> bytes:
    """What a checkpoint's digest reads of one member's head; members come in order of their ids."""
    return orjson.dumps([member_id, seq, entry_hash.hex() if entry_hash else None]) + b"\n"


def checkpoint_hash(
    *,
    previous: bytes | None,
    number: int,
    taken_at_us: int,
    members: int,
    entries: int,
    totals: Mapping[str, int],
    balances: Mapping[str, int],
    digest: bytes,
) -> bytes:
    """The hash of a checkpoint: its columns, totals and balances by account in a fixed order."""
    written = orjson.dumps(
        [
            number, taken_at_us, members, entries,
            [totals[name] for name in ACCOUNTS],
            [balances[name] for name in MEMBER_ACCOUNTS],
            digest.hex(),
        ]
    )  # fmt: skip
    return hashlib.sha256((previous or _NO_HASH) + written).digest()
