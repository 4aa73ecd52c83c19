"""Referrals: begun by an enrolment with a code, and decided about anew after every fact."""

from collections.abc import Iterator, Sequence

from services.referral.domain.codes import normalised
from services.referral.domain.decisions import Decision, decide
from services.referral.domain.facts import HeardEnrolment
from services.referral.domain.ids import derived_id
from services.referral.domain.programme import Programme
from services.referral.domain.referrals import (
    Attribution,
    Brought,
    attribute,
    refuse_illegal_move,
)
from services.referral.operations.rewards import change_reward
from services.referral.store import codes as code_store
from services.referral.store import programmes as programme_store
from services.referral.store import referrals as store
from services.referral.store import rewards as reward_store
from services.referral.store.tables import Referral
from shared.contracts.envelope import EventData
from shared.contracts.referral import ReferralEnrolled, ReferralQualified, ReferralRejected
from shared.db import Transaction
from shared.kernel.clock import business_day


async def begin_referral(
    transaction: Transaction, *, enrolment: HeardEnrolment, code_given: str
) -> None:
    """Attribute a newcomer by the code they gave, once. The caller holds the newcomer's lock."""
    session = transaction.session
    referee_id, enrolled_at = enrolment.member_id, enrolment.enrolled_at
    if await store.find_of_referee(session, member_id=referee_id) is not None:
        return
    await store.lock_attributing(session)
    published = await programme_store.at(session, moment=enrolled_at)
    code = normalised(code_given)
    owner_id = await code_store.owner_of(session, code=code) if code is not None else None
    attribution = await _attribution(
        transaction, enrolment=enrolment, owner_id=owner_id, programme=published.programme
    )
    referral = Referral(
        id=derived_id("ref", at=enrolled_at, of=(referee_id,)),
        member_id=referee_id,
        referrer_id=attribution.referrer_id,
        code=code or code_given,
        state="attributed",
        refusal=attribution.refusal,
        referrer_capped=attribution.referrer_capped,
        programme_version=published.version,
        enrolled_at=enrolled_at,
        created_at=transaction.now,
        updated_at=transaction.now,
    )
    await _reconcile(transaction, referral=referral, programme=published.programme)


async def reconcile(transaction: Transaction, *, referee_id: str) -> None:
    """Bring the referral of a member to what the facts say. The caller holds the member's lock."""
    session = transaction.session
    referral = await store.find_of_referee(session, member_id=referee_id)
    if referral is None:
        return
    programme = await programme_store.of_version(session, version=referral.programme_version)
    await _reconcile(transaction, referral=referral, programme=programme)


async def _attribution(
    transaction: Transaction,
    *,
    enrolment: HeardEnrolment,
    owner_id: str | None,
    programme: Programme,
) -> Attribution:
    session = transaction.session
    upline: Sequence[str] = ()
    brought = Brought(that_day=0, that_month=0)
    if owner_id is not None:
        upline = await store.upline_of(session, member_id=owner_id)
        day = business_day(enrolment.enrolled_at)
        brought = await store.brought_by(session, referrer_id=owner_id, day=day)
    return attribute(
        referee_id=enrolment.member_id,
        owner_id=owner_id,
        upline=upline,
        running=programme.runs_at(enrolment.enrolled_at),
        previously_erased=enrolment.previously_erased,
        brought=brought,
        caps=programme.caps,
    )


async def _reconcile(transaction: Transaction, *, referral: Referral, programme: Programme) -> None:
    session = transaction.session
    decision = decide(
        await store.facts_of(session, referral=referral),
        programme=programme,
        rewards=await reward_store.history_of(session, referral_id=referral.id),
    )
    await _move(transaction, referral=referral, decision=decision)
    for change in decision.changes:
        await change_reward(transaction, referral=referral, change=change, programme=programme)


async def _move(transaction: Transaction, *, referral: Referral, decision: Decision) -> None:
    """Bring the referral's row to the decision, and record what is news."""
    before = (referral.state, referral.first_order_id)
    if before == (decision.state, decision.first_order_id):
        return
    refuse_illegal_move(store.state_of(referral), decision.state)
    referral.state = decision.state
    referral.refusal = decision.refusal
    referral.first_order_id = decision.first_order_id
    referral.updated_at = transaction.now
    await store.save(transaction.session, referral)
    for news in _news(referral, before=before):
        transaction.record(news, subject=referral.id)


def _news(referral: Referral, *, before: tuple[str, str | None]) -> Iterator[EventData]:
    state_before, order_before = before
    ids = {"referral_id": referral.id, "referee_id": referral.member_id}
    if referral.state == "rejected":
        if state_before != "rejected":
            yield ReferralRejected(**ids, reason=referral.refusal or "")
        return
    ids["referrer_id"] = referral.referrer_id or ""
    if state_before == "attributed":
        yield ReferralEnrolled(**ids)
    if referral.first_order_id is not None and referral.first_order_id != order_before:
        yield ReferralQualified(**ids, order_id=referral.first_order_id)
