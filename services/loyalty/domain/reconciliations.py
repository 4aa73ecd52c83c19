"""What a reconciliation compares, and what it makes of the ledger as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from services.loyalty.domain.chain import ACCOUNTS, MEMBER_ACCOUNTS

#: What must agree for each member, and for the ledger as a whole.
Identity = Literal[
    "account_exists",
    "lots_are_balances",
    "last_entry_is_account",
    "entries_are_balances",
    "allocations_are_lots",
    "holds_are_held",
    "entries_are_dense",
    "checkpoint_is_kept",
    "checkpoints_are_kept",
    "ledger_adds_up_to_nothing",
    "ledger_is_checkpoint",
    "accounts_are_ledger",
    "guards_stand",
]
#: How many disagreements are kept by name; all are counted.
KEPT_DISAGREEMENTS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A member whose books do not agree, or the ledger as a whole (`member_id` None)."""

    member_id: str | None
    identities: Sequence[Identity]


def is_recent(at: datetime, *, now: datetime, every: timedelta) -> bool:
    """Whether what is due `every` so often was done lately enough.

    What is dated in the future was not: a clock that was ahead for a minute, or a row put in by
    hand, would stop the proofs until that day comes.
    """
    return timedelta(0) <= now - at < every


def checkpoints_disagreement(*, newest: int, recorded: int) -> Disagreement | None:
    """Compare the number of the newest checkpoint with the highest a reconciliation ever recorded.

    What is left of the checkpoints agrees with itself where the last of them were removed, together
    with what they covered. 0 where there is none.
    """
    if newest >= recorded:
        return None
    return Disagreement(member_id=None, identities=["checkpoints_are_kept"])


def ledger_disagreement(
    *, sums: Mapping[str, int], totals: Mapping[str, int], balances: Mapping[str, int]
) -> Disagreement | None:
    """Compare the ledger as a whole with a checkpoint.

    `sums` are the net credits of the entries that the checkpoint covers, added up afresh; `totals`
    and `balances` are what the checkpoint says. Net credits of all accounts come to nothing, and
    those of a member's accounts are what members have (of debt, what they owe).
    """
    broken: list[Identity] = []
    if sum(sums.values()) != 0:
        broken.append("ledger_adds_up_to_nothing")
    if any(sums.get(name, 0) != totals.get(name, 0) for name in ACCOUNTS):
        broken.append("ledger_is_checkpoint")
    held = {name: sums.get(name, 0) * (-1 if name == "debt" else 1) for name in MEMBER_ACCOUNTS}
    if held != balances:
        broken.append("accounts_are_ledger")
    return Disagreement(member_id=None, identities=broken) if broken else None
