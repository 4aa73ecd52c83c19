"""Proofs on demand: whether one member's books are as they were written."""

from dataclasses import dataclass
from typing import Final

from services.loyalty.domain.audit_chain import Chain
from services.loyalty.domain.audit_rows import Finding
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.store import audit as store
from shared.db import Transaction

#: Entries read at a time: what is held in memory, and for how long others wait for the process.
_PAGE: Final = 500


@dataclass(frozen=True, kw_only=True)
class MemberProof:
    """Where a member's chain stands, and the first thing that is not as it was written."""

    member_id: str
    seq: int
    hash: bytes | None
    finding: Finding | None


async def prove_member(transaction: Transaction, *, member_id: str) -> MemberProof:
    """Recompute a member's chain from its rows, in one snapshot. Raises MemberNotFound."""
    session = transaction.session
    await store.begin_snapshot(session)
    account = await store.account_row(session, member_id=member_id)
    if account is None:
        raise MemberNotFound
    chain, after = Chain(member_id), 0
    while page := await store.entry_page(session, member_id=member_id, after=after, limit=_PAGE):
        for row, parts in page:
            chain.add(row, parts)
        after = page[-1][0][1]
    chain.strays(await store.stray_rows(session, member_id=member_id))
    chain.close(account, await store.lot_rows(session, member_id=member_id))
    return MemberProof(member_id=member_id, seq=account[5], hash=account[6], finding=chain.finding)
