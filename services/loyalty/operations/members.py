"""Members: enrolled once per person, and changed at their wish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.loyalty.domain.members import (
    GivenIdentity,
    IdentitiesConflict,
    IdentityErased,
    MemberMerged,
    MemberNotFound,
    Profile,
    mask_phone,
)
from services.loyalty.domain.tiers import first_standing
from services.loyalty.store.erasure import erased_before, note_reply
from services.loyalty.store.members import (
    Hold,
    MemberView,
    Owner,
    add_member,
    claim_identities,
    find_member,
    hand_over_identities,
    lock_profile,
    owners_of,
)
from services.loyalty.store.programme import current_programme
from services.loyalty.store.vault import Vault
from shared.contracts.loyalty import MemberEnrolled
from shared.db import Transaction
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """Who enrols, how they are known, and through whom they came."""

    identities: Sequence[GivenIdentity]
    profile: Profile
    consents: Mapping[str, bool]
    referral_code: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The member, and whether they were known before."""

    member: MemberView
    known: bool


async def enrol(
    transaction: Transaction,
    *,
    enrolment: Enrolment,
    vault: Vault,
    kept_under: tuple[str, str] | None = None,
) -> Enrolled:
    """Enrol a person once: whoever is known by one of the identities is that member.

    Identities of the same request that were nobody's become theirs; the rest of the request is
    for newcomers and does not change who is known. Somebody who was erased is a newcomer again,
    and marked, since nobody is a new customer twice. Raises IdentitiesConflict when the identities
    belong to two members, and IdentityErased when an erasure came in between.
    """
    enrolled = await _enrol(
        transaction, enrolment=enrolment, vault=vault, keeps_reply=kept_under is not None
    )
    await note_reply(transaction.session, member_ids=[enrolled.member.id], kept_under=kept_under)
    return enrolled


async def _enrol(
    transaction: Transaction, *, enrolment: Enrolment, vault: Vault, keeps_reply: bool
) -> Enrolled:
    session, now = transaction.session, transaction.now
    identities = sorted(
        set(enrolment.identities), key=lambda one: (one.kind, one.app_id, one.value)
    )
    member_id = new_id("mem", at=now)
    claimed = await claim_identities(session, identities, member_id=member_id, vault=vault, now=now)
    if claimed < len(identities):
        # An erasure must not end between reading the profile and keeping the reply that shows it.
        hold: Hold | None = "no key update" if claimed else "share" if keeps_reply else None
        owner = _one_owner(await owners_of(session, identities, vault=vault, hold=hold))
        phone = _masked(identities)
        return await _known(transaction, owner=owner, claimed=member_id, phone_masked=phone)
    programme = await current_programme(session, now=now)
    before = await erased_before(session, identities, vault=vault)
    add_member(
        session,
        member_id=member_id,
        profile=enrolment.profile,
        consents=_consents(enrolment.consents, now=now),
        phone_masked=_masked(identities),
        previously_erased=bool(before),
        standing=first_standing(programme, now=now),
        now=now,
    )
    await session.flush()
    transaction.record(
        MemberEnrolled(
            member_id=member_id,
            enrolled_at=now,
            referral_code=enrolment.referral_code,
            device_id=enrolment.device_id,
            previously_erased=bool(before),
        ),
        subject=member_id,
    )
    return Enrolled(member=await _shown(transaction, member_id), known=False)


async def _known(
    transaction: Transaction, *, owner: str, claimed: str, phone_masked: str | None
) -> Enrolled:
    """A known member, who gains what was claimed for a newcomer."""
    await hand_over_identities(
        transaction.session,
        claimed=claimed,
        owner=owner,
        phone_masked=phone_masked,
        now=transaction.now,
    )
    return Enrolled(member=await _shown(transaction, owner), known=True)


async def update_profile(
    transaction: Transaction,
    *,
    member_id: str,
    changes: Mapping[str, Any],
    consents: Mapping[str, bool],
) -> MemberView:
    """Change the fields that are named in `changes`; None forgets a field. Consents are added to.

    Raises MemberNotFound and MemberMerged.
    """
    member = await lock_profile(transaction.session, member_id=member_id)
    if member is None or member.state == "erased":
        raise MemberNotFound
    if member.merged_into is not None:
        raise MemberMerged(merged_into=member.merged_into)
    for name, value in changes.items():
        setattr(member, name, value)
    member.consents = {**member.consents, **_consents(consents, now=transaction.now)}
    member.updated_at = transaction.now
    await transaction.session.flush()
    return await _shown(transaction, member_id)


def _one_owner(owners: Sequence[Owner]) -> str:
    """The member who goes on for all of these owners. Raises IdentitiesConflict, IdentityErased."""
    if not owners or any(owner.state == "erased" for owner in owners):
        raise IdentityErased
    survivors = {owner.merged_into or owner.id for owner in owners}
    if len(survivors) != 1:
        raise IdentitiesConflict
    return survivors.pop()


def _masked(identities: Sequence[GivenIdentity]) -> str | None:
    phones = [one.value for one in identities if one.kind == "phone"]
    return mask_phone(phones[0]) if phones else None


def _consents(given: Mapping[str, bool], *, now: datetime) -> dict[str, Any]:
    """What was agreed to, and when it was last said."""
    return {name: {"granted": granted, "at": now.isoformat()} for name, granted in given.items()}


async def _shown(transaction: Transaction, member_id: str) -> MemberView:
    member = await find_member(transaction.session, member_id=member_id, now=transaction.now)
    if member is None:
        raise MemberNotFound
    return member
