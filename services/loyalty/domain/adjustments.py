"""Points that an operator gives or takes, with a reason; large ones need a second person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.loyalty.domain.ledger import Account, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import repay, use_points
from shared.kernel.errors import Refusal, RefusalKind

AdjustmentState = Literal["applied", "awaiting_approval", "rejected"]
Decision = Literal["approve", "reject"]


class SecondPersonNeeded(Refusal):
    """Who asked for an adjustment may not decide it."""

    code = "second_person_needed"
    kind = RefusalKind.forbidden


class AdjustmentDecided(Refusal):
    """The adjustment was decided otherwise, or needed no decision."""

    code = "adjustment_decided"


@dataclass(frozen=True, kw_only=True)
class Request:
    """An adjustment that was asked for, and who has decided it."""

    id: str
    state: AdjustmentState
    requested_by: str
    decided_by: str | None


def needs_second_person(*, points: int, alone_today: int, limit: int) -> bool:
    """Whether one operator may not do this alone.

    `alone_today` is what the same operator has given and taken from the member on the business
    day without a second person, both counted up, so that neither splitting nor going back and
    forth gets around the limit.
    """
    return alone_today + abs(points) > limit


def is_to_decide(request: Request, *, decision: Decision, by: str) -> bool:
    """Whether a decision is still needed; False when the same person decided so before.

    Raises SecondPersonNeeded and AdjustmentDecided.
    """
    if by == request.requested_by:
        raise SecondPersonNeeded(id=request.id)
    if request.state == "awaiting_approval":
        return True
    outcome = "applied" if decision == "approve" else "rejected"
    if request.state != outcome or request.decided_by != by:
        raise AdjustmentDecided(id=request.id, state=request.state)
    return False


def take_points(
    account: Account, *, points: int, cause: Cause, programme_version: int, stamp: Stamp
) -> Account:
    """Take available points, those that lapse soonest first.

    Raises InsufficientPoints rather than let the member owe any.
    """
    return use_points(
        account,
        kind="adjusted",
        credit="adjusted",
        points=points,
        cause=cause,
        programme_version=programme_version,
        stamp=stamp,
    )


def give_points(
    account: Account,
    *,
    points: int,
    lot_id: str,
    expires_at: datetime | None,
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
) -> Account:
    """Give points, usable at once, in a lot of their own; they repay debt first."""
    lot = Lot(
        id=lot_id,
        cause=cause,
        state="available",
        points=points,
        remaining=points,
        available_at=stamp.at,
        expires_at=expires_at,
        programme_version=programme_version,
        created_at=stamp.at,
    )
    posting = Posting(
        kind="adjusted",
        debit="adjusted",
        credit="available",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=(lot,),
    )
    return repay(post(account, posting, stamp=stamp), lot.id, stamp=stamp)
