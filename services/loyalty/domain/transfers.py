"""Points given to another member: they keep their expiry, within the limits of the programme."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.ledger import Account, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import InsufficientPoints, in_order_of_use, repay, take
from services.loyalty.domain.points_rules import TransferRules
from shared.kernel.errors import Refusal, RefusalKind


class TransfersDisabled(Refusal):
    """The programme does not let members give points away."""

    code = "transfers_disabled"


class TransferToSelf(Refusal):
    """Sender and recipient are the same member."""

    code = "transfer_to_self"
    kind = RefusalKind.invalid


class TransferTooSmall(Refusal):
    """Fewer points than the programme transfers."""

    code = "transfer_too_small"


class TransferLimitReached(Refusal):
    """The member would send more points on this business day than the programme allows."""

    code = "transfer_limit_reached"


class TransferCountReached(Refusal):
    """The member has sent as many transfers on this business day as the programme allows."""

    code = "transfer_count_reached"


class PointsCooling(Refusal):
    """Too many of the available points came by transfer themselves, too short a time ago."""

    code = "points_cooling"


class RecipientNotFound(Refusal):
    """There is no such member to receive the points, or they were erased."""

    code = "recipient_not_found"
    kind = RefusalKind.not_found


class RecipientMerged(Refusal):
    """The recipient was merged into another member, who goes on in their place."""

    code = "recipient_merged"


@dataclass(frozen=True, kw_only=True)
class SentToday:
    """What a member has sent on the business day so far."""

    points: int
    count: int


def check_limits(*, points: int, rules: TransferRules, sent: SentToday) -> None:
    """Raise what forbids a transfer: the programme, or what was sent before on the day."""
    if not rules.enabled:
        raise TransfersDisabled
    if points < rules.least:
        raise TransferTooSmall(asked=points, least=rules.least)
    if sent.count >= rules.daily_count:
        raise TransferCountReached(limit=rules.daily_count)
    if sent.points + points > rules.daily_limit:
        left = max(rules.daily_limit - sent.points, 0)
        raise TransferLimitReached(asked=points, limit=rules.daily_limit, left=left)


def transfer(
    sender: Account,
    receiver: Account,
    *,
    points: int,
    cooled_by: datetime,
    cause: Cause,
    programme_version: int,
    new_lot_id: Callable[[], str],
    stamp: Stamp,
) -> tuple[Account, Account]:
    """Move points to another member: a new lot per lot that pays, lapsing on the same day.

    The soonest to lapse pay first, but not those that came by transfer after `cooled_by`. What
    is received repays debt first. Raises InsufficientPoints and PointsCooling.
    """
    if points > sender.balances.available:
        raise InsufficientPoints(available=sender.balances.available, asked=points)
    cooled = [lot for lot in in_order_of_use(sender) if _is_cooled(lot, by=cooled_by)]
    transferable = sum(lot.remaining for lot in cooled)
    if points > transferable:
        raise PointsCooling(asked=points, transferable=transferable)
    paying = take(cooled, points)
    given = tuple(
        _received(lot, points=sender.lots[lot.id].remaining - lot.remaining, cause=cause,
                  lot_id=new_lot_id(), at=stamp.at)
        for lot in paying
    )  # fmt: skip
    sent = Posting(
        kind="transferred", debit="available", credit="transferred", points=points, cause=cause,
        programme_version=programme_version, occurred_at=stamp.at, lots=paying,
    )  # fmt: skip
    received = Posting(
        kind="transferred", debit="transferred", credit="available", points=points, cause=cause,
        programme_version=programme_version, occurred_at=stamp.at, lots=given,
    )  # fmt: skip
    receiver = post(receiver, received, stamp=stamp)
    for lot in given:
        receiver = repay(receiver, lot.id, stamp=stamp)
    return post(sender, sent, stamp=stamp), receiver


def _is_cooled(lot: Lot, *, by: datetime) -> bool:
    return lot.cause.kind != "transfer" or lot.created_at <= by


def _received(paying: Lot, *, points: int, cause: Cause, lot_id: str, at: datetime) -> Lot:
    return Lot(
        id=lot_id,
        cause=cause,
        state="available",
        points=points,
        remaining=points,
        available_at=at,
        expires_at=paying.expires_at,
        programme_version=paying.programme_version,
        created_at=at,
    )
