"""Proofs on demand: whether one member's books are as they were written."""

from dataclasses import dataclass
from typing import Final

from services.loyalty.domain.audit_chain import Chain
from services.loyalty.domain.audit_checkpoints import CheckpointTally
from services.loyalty.domain.audit_rows import Finding
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.store import audit as store
from services.loyalty.store.checkpoints import head_rows
from shared.db import Transaction

#: Entries read at a time: what is held in memory, and for how long others wait for the process.
_PAGE: Final = 500


@dataclass(frozen=True, kw_only=True)
class MemberProof:
    """Where a member's chain stands, and the first thing that is not as it was written.

    Without an account it stands at 0: all that is left of the member are heads of checkpoints.
    """

    member_id: str
    seq: int
    hash: bytes | None
    finding: Finding | None


async def prove_member(transaction: Transaction, *, member_id: str) -> MemberProof:
    """Recompute a member's chain from its rows, in one snapshot, beside the checkpoints' heads.

    The chain alone cannot tell that it was rewritten to its end, or cut back with the account.
    Raises MemberNotFound.
    """
    session = transaction.session
    await store.begin_snapshot(session)
    account = await store.account_row(session, member_id=member_id)
    heads = await head_rows(session, member_id=member_id)
    if account is None and not heads:
        raise MemberNotFound
    chain, marks, after = Chain(member_id), CheckpointTally().marks(member_id, heads), 0
    while page := await store.entry_page(session, member_id=member_id, after=after, limit=_PAGE):
        for row, parts in page:
            chain.add(row, parts)
            marks.add(row[1], row)
        after = page[-1][0][1]
    chain.strays(await store.stray_rows(session, member_id=member_id))
    chain.close(account, await store.lot_rows(session, member_id=member_id))
    return MemberProof(
        member_id=member_id,
        seq=account[5] if account else 0,
        hash=account[6] if account else None,
        finding=_first(chain, marks.finding(chain.seq), gone=account is None),
    )


def _first(chain: Chain, cut: Finding | None, *, gone: bool) -> Finding | None:
    """What to name, as the audit of the whole ledger does.

    An entry found in the chain comes first; a cut through it explains what the account and the lots
    say, not the reverse.
    """
    if chain.finding is not None and "seq" in chain.finding.facts:
        return chain.finding
    if cut is None and gone:
        return Finding("account_missing", {"member": chain.member_id})
    return cut or chain.finding
