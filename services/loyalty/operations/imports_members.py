"""Whose lines an import holds: members found, newcomers enrolled, accounts locked, totals told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from services.loyalty.domain.imports import Line, LineRefusal, MemberLine, OwnedLine, refused
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
from services.loyalty.store.rewards import states_of_members
from services.loyalty.store.tables import Import
from services.loyalty.store.vault import Vault
from shared.contracts.loyalty import ImportedPoints, MembersImported, PointsImported
from shared.db import Transaction


class OwnersMoved(Exception):
    """A member was merged or erased between being found and being locked: try the batch again."""


@dataclass(frozen=True, kw_only=True)
class Owners(Generic[Line]):
    """Lines with their members, those that have none, and how many members are new."""

    owned: Sequence[OwnedLine[Line]]
    refusals: Sequence[LineRefusal]
    enrolled: int


async def find_owners(
    transaction: Transaction, *, lines: Sequence[Line], upload: Import, vault: Vault
) -> Owners[Line]:
    """Find each line's member, by id or identity; enrol whoever an unknown identity belongs to,
    if the import asks for it.

    A merged member's lines go to the one who lives on; an erased member's are refused.
    """
    by_id = await _by_id(transaction, lines)
    identities = sorted(
        {line.identity for line in lines if line.identity is not None},
        key=lambda one: (one.kind, one.app_id, one.value),
    )
    by_identity, enrolled = await _by_identity(transaction, identities, upload=upload, vault=vault)
    going_on = {one.id for one in [*by_id.values(), *by_identity.values()] if one.id}
    held = await _held(transaction, sorted(going_on))
    owned, refusals = [], []
    for line in lines:
        found = _found(line, by_id=by_id, by_identity=by_identity)
        found = held.get(found.id, found) if found is not None else None
        pointer = "/member_id" if line.identity is None else "/identity_value"
        if found is None:
            refusals.append(refused(line, "member_unknown", pointer=pointer))
        elif found.state != "active":
            refusals.append(refused(line, "member_erased", pointer=pointer))
        else:
            owned.append(OwnedLine(line=line, member_id=found.id))
    return Owners(owned=owned, refusals=refusals, enrolled=enrolled)


async def lock_owners(
    transaction: Transaction, *, member_ids: Sequence[str]
) -> Mapping[str, LockedMember]:
    """Lock the accounts of members who were found, in two statements, and bring them up to now.

    Raises OwnersMoved.
    """
    wanted = sorted(set(member_ids))
    if not wanted:
        return {}
    locked = await lock_members(
        transaction.session, member_ids=wanted, now=transaction.now, lots="open"
    )
    if len(locked) < len(wanted) or any(one.state != "active" for one in locked.values()):
        raise OwnersMoved
    return {member_id: settle(transaction, one) for member_id, one in locked.items()}


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


async def _held(transaction: Transaction, member_ids: Sequence[str]) -> Mapping[str, FoundMember]:
    """Who goes on for these members, none of whom is merged or erased until commit."""
    while True:
        found = await members_by_id(transaction.session, member_ids)
        present = sorted({one.id for one in found.values()})
        states = await states_of_members(transaction.session, member_ids=present)
        if all(states[one.id] == one.state for one in found.values()):
            return found


async def _by_identity(
    transaction: Transaction,
    identities: Sequence[GivenIdentity],
    *,
    upload: Import,
    vault: Vault,
) -> tuple[Mapping[GivenIdentity, FoundMember], int]:
    """The members of these identities, and how many of them are new.

    Read again after adding: whoever enrolled at the same time with one of them was first.
    """
    session = transaction.session
    if not identities:
        return {}, 0
    found = await members_by_identity(session, identities, vault=vault)
    missing = [one for one in identities if one not in found]
    erased = await erased_before(session, missing, vault=vault) if missing else set()
    # Who was erased is not brought back by their history.
    found |= {one: FoundMember(id="", state="erased") for one in erased}
    missing = [one for one in missing if one not in erased]
    if not missing or not upload.enrol:
        return found, 0
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
    return found, len(new)


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
