"""Whose lines an import holds: members found, newcomers enrolled, accounts locked, totals told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from services.loyalty.domain.imports import Line, LineRefusal, MemberLine, OwnedLine, refused
from services.loyalty.domain.ledger import LedgerBroken
from services.loyalty.domain.members import GivenIdentity
from services.loyalty.domain.tiers import first_standing
from services.loyalty.operations.points import settle
from services.loyalty.store.accounts import LockedMember, lock_members
from services.loyalty.store.erasure import erased_before
from services.loyalty.store.imports_members import (
    FoundMember,
    add_members,
    members_by_id,
    members_by_identity,
)
from services.loyalty.store.programme import current_programme
from services.loyalty.store.tables import Import
from services.loyalty.store.vault import Vault
from shared.contracts.loyalty import ImportedPoints, MembersImported, PointsImported
from shared.db import Transaction
from shared.jobs import leave_out


class OwnersMoved(Exception):
    """A member was merged or erased between being found and being locked: try the batch again."""


@dataclass(frozen=True, kw_only=True)
class Owners(Generic[Line]):
    """Lines with their members, and those that have none."""

    owned: Sequence[OwnedLine[Line]]
    refusals: Sequence[LineRefusal]
    #: Members who are new; nobody else sees them before the commit.
    enrolled: Collection[str]


async def find_owners(
    transaction: Transaction, *, lines: Sequence[Line], upload: Import, vault: Vault
) -> Owners[Line]:
    """Find each line's member, by id or identity; enrol whoever an unknown identity belongs to,
    if the import asks for it.

    A merged member's lines go to the one who lives on; an erased member's are refused, and those
    about somebody who came back that tell of the time before, or of no time at all. Nobody is held:
    that comes in its turn, and then `still_theirs` looks again.
    """
    by_id = await _by_id(transaction, lines)
    by_identity, enrolled = await _by_identity(
        transaction, _identities(lines), upload=upload, vault=vault
    )
    owned, refusals = [], []
    for line in lines:
        found = _found(line, by_id=by_id, by_identity=by_identity)
        if found is None:
            refusals.append(refused(line, "member_unknown", pointer=_pointer(line)))
        elif found.state != "active" or found.has_forgotten(line.happened_at):
            refusals.append(refused(line, "member_erased", pointer=_pointer(line)))
        else:
            owned.append(OwnedLine(line=line, member_id=found.id))
    return Owners(owned=owned, refusals=refusals, enrolled=enrolled)


async def lock_owners(
    transaction: Transaction, *, member_ids: Sequence[str]
) -> Mapping[str, LockedMember]:
    """Lock the accounts of members who were found, in two statements, and bring them up to now.

    Whose books do not agree is held, but missing from the answer: nothing may move on them, and the
    lines of the others go on. Who is held may have been merged or erased before: `still_theirs`
    says so.
    """
    if not member_ids:
        return {}
    locked = await lock_members(
        transaction.session, member_ids=member_ids, now=transaction.now, lots="open"
    )
    sound = {}
    for member_id, one in locked.items():
        try:
            sound[member_id] = settle(transaction, one)
        except LedgerBroken:
            leave_out(transaction, member_id)
    return sound


def unavailable(owned: OwnedLine[Line]) -> LineRefusal:
    """The refusal of a line whose member's books do not agree."""
    return refused(owned.line, "member_unavailable", pointer=_pointer(owned.line))


async def still_theirs(transaction: Transaction, *, owners: Owners[Line], vault: Vault) -> None:
    """Make sure that the lines are the same members' as when these were found. Two statements at
    most.

    Asked under their accounts' locks, or with their rows held. Every merge, reversal and erasure
    takes both, so from here on nothing comes between. Raises OwnersMoved: whose the lines are now
    may be somebody whose turn to be locked is over.
    """
    known = [one for one in owners.owned if one.member_id not in owners.enrolled]
    lines = [one.line for one in known]
    by_id, identities = await _by_id(transaction, lines), _identities(lines)
    by_identity = (
        await members_by_identity(transaction.session, identities, vault=vault)
        if identities
        else {}
    )
    for one in known:
        found = _found(one.line, by_id=by_id, by_identity=by_identity)
        if found is None or (found.id, found.state) != (one.member_id, "active"):
            raise OwnersMoved
        if found.has_forgotten(one.line.happened_at):
            raise OwnersMoved


def note_points(
    transaction: Transaction,
    *,
    before: Mapping[str, LockedMember],
    after: Sequence[LockedMember],
    import_id: str,
) -> None:
    """Tell by how much a batch changed what each member can count on, in one event."""
    changes = [
        ImportedPoints(
            member_id=one.id,
            points=one.account.balances.total - before[one.id].account.balances.total,
        )
        for one in after
        if one.account.seq > before[one.id].account.seq
    ]
    if changes:
        event = PointsImported(import_id=import_id, members=changes, imported_at=transaction.now)
        transaction.record(event, subject=import_id)


async def _by_id(
    transaction: Transaction, lines: Sequence[MemberLine]
) -> Mapping[str, FoundMember]:
    wanted = sorted({line.member_id for line in lines if line.member_id is not None})
    return await members_by_id(transaction.session, wanted) if wanted else {}


def _identities(lines: Sequence[MemberLine]) -> list[GivenIdentity]:
    """The identities that name members, sorted, so that nobody who adds them waits in a ring."""
    return sorted(
        {line.identity for line in lines if line.identity is not None},
        key=lambda one: (one.kind, one.app_id, one.value),
    )


async def _by_identity(
    transaction: Transaction,
    identities: Sequence[GivenIdentity],
    *,
    upload: Import,
    vault: Vault,
) -> tuple[Mapping[GivenIdentity, FoundMember], Collection[str]]:
    """The members of these identities, and who of them is new.

    Read again after adding: whoever enrolled at the same time with one of them was first.
    """
    session = transaction.session
    if not identities:
        return {}, ()
    found = await members_by_identity(session, identities, vault=vault)
    missing = [one for one in identities if one not in found]
    erased = await erased_before(session, missing, vault=vault) if missing else set()
    # Who was erased is not brought back by their history.
    found |= {one: FoundMember(id="", state="erased") for one in erased}
    missing = [one for one in missing if one not in erased]
    if not missing or not upload.enrol:
        return found, ()
    programme = await current_programme(session, now=transaction.now)
    new = await add_members(
        session,
        missing,
        vault=vault,
        import_id=upload.id,
        standing=first_standing(programme, now=transaction.now),
        now=transaction.now,
    )
    if new:
        event = MembersImported(import_id=upload.id, member_ids=new, imported_at=transaction.now)
        transaction.record(event, subject=upload.id)
    found |= await members_by_identity(session, missing, vault=vault)
    return found, frozenset(new)


def _pointer(line: MemberLine) -> str:
    return "/member_id" if line.identity is None else "/identity_value"


def _found(
    line: MemberLine,
    *,
    by_id: Mapping[str, FoundMember],
    by_identity: Mapping[GivenIdentity, FoundMember],
) -> FoundMember | None:
    if line.identity is not None:
        return by_identity.get(line.identity)
    assert line.member_id is not None
    return by_id.get(line.member_id)
