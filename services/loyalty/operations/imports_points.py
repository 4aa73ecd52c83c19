"""Imports of points: opening balances and past movements, posted once each in file order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.loyalty.domain.imports import LineRefusal, OwnedLine, refused
from services.loyalty.domain.imports_points import PointsLine, move, untimely
from services.loyalty.domain.ledger import BalanceLimitReached, LedgerBroken
from services.loyalty.domain.points import InsufficientPoints
from services.loyalty.operations.imports import Batch, Taken, count_batch
from services.loyalty.operations.imports_members import (
    find_owners,
    lock_owners,
    note_points,
    still_theirs,
    unavailable,
)
from services.loyalty.operations.points import stamp_of
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.imports import plan_afresh
from services.loyalty.store.imports_points import add_movements, known_movements
from services.loyalty.store.tables import Import
from services.loyalty.store.vault import Vault
from shared.db import Transaction
from shared.jobs import leave_out
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Posted:
    """Members' books after some lines, the lines that moved them, and those that did not."""

    books: Mapping[str, LockedMember]
    lines: Sequence[OwnedLine[PointsLine]]
    refusals: Sequence[LineRefusal]


async def take_points(
    transaction: Transaction, *, upload: Import, batch: Batch[PointsLine], vault: Vault
) -> Import:
    """Take some lines: movements that are not on record yet, with members enrolled on the fly.

    Sixteen round trips at most, whatever the number of lines and members, and the transaction's
    own three. Raises ImportSuperseded, BatchCounted and OwnersMoved.
    """
    session = transaction.session
    await plan_afresh(session)
    owners = await find_owners(transaction, lines=batch.lines, upload=upload, vault=vault)
    # What takes time comes before the locks: members wait for this batch from here on.
    before = await lock_owners(transaction, member_ids=sorted({o.member_id for o in owners.owned}))
    await still_theirs(transaction, owners=owners, vault=vault)
    known = await known_movements(session, owners.owned) if owners.owned else {}
    posted = _post(transaction, owners.owned, before=before, known=known)
    # Those whom nothing of the batch moved may have been brought up to now all the same.
    changed = [one for one in posted.books.values() if one.account.entries]
    if changed:
        await save_members(session, changed)
    if posted.lines:
        await add_movements(session, posted.lines, import_id=upload.id, now=transaction.now)
        note_points(transaction, before=before, after=changed, import_id=upload.id)
    taken = Taken(
        taken=len(posted.lines),
        repeated=len(owners.owned) - len(posted.lines) - len(posted.refusals),
        refusals=[*batch.refusals, *owners.refusals, *posted.refusals],
        members=len(owners.enrolled),
    )
    return await count_batch(transaction, upload=upload, batch=batch, taken=taken)


def _post(
    transaction: Transaction,
    owned: Sequence[OwnedLine[PointsLine]],
    *,
    before: Mapping[str, LockedMember],
    known: Mapping[tuple[str, str], bytes],
) -> Posted:
    """Post each line that is new for its member, in the order of the file."""
    books, seen = dict(before), dict(known)
    lines, refusals = [], []
    for one in owned:
        name, facts = (one.member_id, one.line.reference), one.line.facts_hash()
        if name in seen:
            if seen[name] != facts:
                code = "already_recorded_differently"
                refusals.append(refused(one.line, code, pointer="/reference"))
            continue
        result = _moved(transaction, books.get(one.member_id), one)
        if isinstance(result, LineRefusal):
            refusals.append(result)
        else:
            books[one.member_id], seen[name] = result, facts
            lines.append(one)
    return Posted(books=books, lines=lines, refusals=refusals)


def _moved(
    transaction: Transaction, member: LockedMember | None, one: OwnedLine[PointsLine]
) -> LockedMember | LineRefusal:
    """The member after a line, or why it moves nothing; None is one whose books do not agree."""
    line = one.line
    if member is None:
        return unavailable(one)
    fault = untimely(line, now=transaction.now)
    if fault is not None:
        return refused(line, fault.code, pointer=fault.pointer)
    try:
        account = move(
            member.account,
            line,
            programme=member.programme,
            lot_id=new_id("lot", at=transaction.now),
            stamp=stamp_of(transaction),
        )
    except (InsufficientPoints, BalanceLimitReached) as refusal:
        return refused(line, refusal.code, pointer="/points")
    except LedgerBroken:
        leave_out(transaction, member.id)
        return unavailable(one)
    return member.with_account(account)
