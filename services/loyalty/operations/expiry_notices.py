"""Notices of expiry: made in time, given out by event, confirmed by whoever delivered them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.loyalty.domain.expiry_notices import deliver_by, require_possible
from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.lots_rules import LotsRules
from services.loyalty.store import expiry_notices as store
from services.loyalty.store.erasure import is_erased
from services.loyalty.store.expiry_notices import Untold
from services.loyalty.store.programme import current_programme
from services.loyalty.store.tables import ExpiryNotice, ExpiryNoticeFailure, ExpiryNoticeLot
from shared.contracts.loyalty import PointsExpiring
from shared.db import Transaction
from shared.kernel.errors import NotFound
from shared.kernel.ids import new_id

_LOTS_PER_STEP: Final = 500


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How a notice reached the member, as the channel reports it."""

    channel: str
    delivered_at: datetime
    receipt: str | None


async def announce_expiries(transaction: Transaction) -> int:
    """Make notices of some points that lapse soon and that no notice covers; how many.

    One notice per member and expiry. When points are added to one that was announced, there is a
    further notice of all of them. One that could not be delivered in time any more is not made:
    it would be untrue. It changes no balance, so it needs no account's lock; instead it is alone.
    """
    session, now = transaction.session, transaction.now
    if not await store.announce_alone(session):
        return 0
    rules = (await current_programme(session, now=now)).lots
    untold = await store.untold_expiries(
        session,
        earliest=now + timedelta(days=rules.least_notice_days),
        latest=now + timedelta(days=rules.notice_days),
        limit=_LOTS_PER_STEP,
    )
    if not untold:
        return 0
    made = [_notice(transaction, one, rules=rules) for one in untold]
    lots = [lot for notice, one in zip(made, untold, strict=True) for lot in _lots(notice, one)]
    for notice in made:
        transaction.record(_told(notice), subject=notice.member_id)
    await store.add_notices(session, made, lots)
    return len(made)


async def confirm_delivery(
    transaction: Transaction, *, notice_id: str, delivery: Delivery
) -> ExpiryNotice:
    """Record that a notice reached the member; the same again changes nothing.

    Also after its day: the fact stands, though points extended meanwhile stay extended. Raises
    NotFound, InvalidField for an impossible moment, and AlreadyRecordedDifferently.
    """
    notice = await _locked(transaction, notice_id=notice_id)
    if notice.delivered_at is not None:
        known = (notice.channel, notice.delivered_at, notice.receipt)
        if known != (delivery.channel, delivery.delivered_at, delivery.receipt):
            raise AlreadyRecordedDifferently(id=notice_id)
        return notice
    require_possible(delivery.delivered_at, announced_at=notice.announced_at, now=transaction.now)
    notice.state = "delivered"
    notice.channel = delivery.channel
    notice.delivered_at = delivery.delivered_at
    notice.receipt = delivery.receipt
    await store.save_outcome(transaction.session, notice)
    return notice


async def report_failure(
    transaction: Transaction, *, notice_id: str, channel: str, reason: str
) -> ExpiryNoticeFailure:
    """Record that a channel could not deliver a notice; another one still may.

    The same again changes nothing. Raises NotFound and AlreadyRecordedDifferently.
    """
    notice = await _locked(transaction, notice_id=notice_id)
    known = await store.find_failure(transaction.session, notice_id=notice_id, channel=channel)
    if known is not None:
        if known.reason != reason:
            raise AlreadyRecordedDifferently(id=notice_id)
        return known
    failure = ExpiryNoticeFailure(
        notice_id=notice_id,
        channel=channel,
        member_id=notice.member_id,
        reason=reason,
        failed_at=transaction.now,
    )
    if notice.state == "announced":
        notice.state = "failed"
    await store.save_outcome(transaction.session, notice, failure=failure)
    return failure


async def _locked(transaction: Transaction, *, notice_id: str) -> ExpiryNotice:
    """The notice, of somebody who is there: nothing is written about who was erased."""
    session = transaction.session
    notice = await store.lock_notice(session, notice_id=notice_id)
    # Asked under the notice's lock, which an erasure takes as well.
    if notice is None or await is_erased(session, member_id=notice.member_id):
        raise NotFound
    return notice


def _notice(transaction: Transaction, untold: Untold, *, rules: LotsRules) -> ExpiryNotice:
    return ExpiryNotice(
        id=new_id("exn", at=transaction.now),
        member_id=untold.member_id,
        state="announced",
        points=sum(untold.lots.values()),
        expires_at=untold.expires_at,
        deliver_by=deliver_by(untold.expires_at, rules=rules),
        announced_at=transaction.now,
    )


def _lots(notice: ExpiryNotice, untold: Untold) -> list[ExpiryNoticeLot]:
    return [
        ExpiryNoticeLot(
            notice_id=notice.id,
            lot_id=lot_id,
            member_id=notice.member_id,
            expires_at=notice.expires_at,
            points=points,
        )
        for lot_id, points in untold.lots.items()
    ]


def _told(notice: ExpiryNotice) -> PointsExpiring:
    return PointsExpiring(
        notice_id=notice.id,
        member_id=notice.member_id,
        points=notice.points,
        expires_at=notice.expires_at,
        deliver_by=notice.deliver_by,
    )
