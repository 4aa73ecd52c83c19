"""Referrals: who brought whom, and how far it has come, by the facts alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.referral.domain.orders import (
    PaidOrder,
    Refund,
    first_order,
    is_before,
    qualifying_orders,
)
from services.referral.domain.programme import Caps, Programme, StageName, Trigger

ReferralState = Literal[
    "attributed", "enrolled", "qualified", "completed", "under_review", "rejected", "reversed"
]
#: Why no referral came of a code, or why a referral came to nothing.
Reason = Literal[
    "unknown_code", "self_referral", "loop", "programme_not_running", "existing_customer"
]

_ONGOING: Final[frozenset[ReferralState]] = frozenset(
    {"enrolled", "qualified", "completed", "reversed", "under_review", "rejected"}
)
#: Facts may move a referral back and forth while it lasts; a rejected one is over.
MOVES: Final[dict[ReferralState, frozenset[ReferralState]]] = {
    "attributed": _ONGOING,
    "enrolled": _ONGOING,
    "qualified": _ONGOING - {"enrolled"},
    "completed": _ONGOING - {"enrolled"},
    "reversed": _ONGOING - {"enrolled"},
    "under_review": _ONGOING,
    "rejected": frozenset(),
}


class IllegalMove(Exception):
    """Facts would bring a referral back from where there is no way back: a defect of ours."""


def refuse_illegal_move(old: ReferralState, new: ReferralState) -> None:
    """Raise IllegalMove unless a referral may come from one state to the other."""
    if old != new and new not in MOVES[old]:
        raise IllegalMove(f"{old} to {new}")


@dataclass(frozen=True, kw_only=True)
class Brought:
    """How many newcomers a referrer has been rewarded for on a business day, and in its month."""

    that_day: int
    that_month: int


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """To whom a newcomer is attributed, for ever."""

    #: None only when nobody has the code.
    referrer_id: str | None
    #: Why no referral comes of it.
    refusal: Reason | None
    #: Whether the referrer has reached a cap: the newcomer is rewarded, the referrer is not.
    referrer_capped: bool


def attribute(
    *,
    referee_id: str,
    owner_id: str | None,
    upline: Sequence[str],
    running: bool,
    previously_erased: bool,
    brought: Brought,
    caps: Caps,
) -> Attribution:
    """Attribute a newcomer to the owner of the code they gave.

    Who was a member before and was erased is no newcomer, or anybody could be one again and again.
    `upline` are those who brought the owner, whoever brought those, and so on. Decided once, when
    the enrolment is heard of, in the order of the log: a cap, unlike everything that comes after,
    depends on other newcomers, and must not take away later what one was promised.
    """
    refusal: Reason | None = None
    if owner_id is None:
        refusal = "unknown_code"
    elif owner_id == referee_id:
        refusal = "self_referral"
    elif referee_id in upline:
        refusal = "loop"
    elif not running:
        refusal = "programme_not_running"
    elif previously_erased:
        refusal = "existing_customer"
    return Attribution(
        referrer_id=owner_id,
        refusal=refusal,
        referrer_capped=refusal is None and _is_capped(brought, caps),
    )


def _is_capped(brought: Brought, caps: Caps) -> bool:
    over_day = caps.per_day is not None and brought.that_day >= caps.per_day
    return over_day or (caps.per_month is not None and brought.that_month >= caps.per_month)


@dataclass(frozen=True, kw_only=True)
class ReferralFacts:
    """All that decides what becomes of a referral."""

    enrolled_at: datetime
    #: Why the newcomer could not be attributed.
    refusal: Reason | None
    referrer_capped: bool
    orders: Sequence[PaidOrder]
    refunds: Sequence[Refund]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a referral has come."""

    refusal: Reason | None
    first_order: PaidOrder | None
    #: Whether there was a first order and every one that could be it was refunded in full.
    order_lost: bool
    #: The stages that are reached.
    reached: frozenset[StageName]


def stand(facts: ReferralFacts, programme: Programme) -> Standing:
    """How far a referral has come: the same for the same facts, in whatever order they came.

    A newcomer must be new: any order paid before the enrolment, refunded or not, makes them an
    existing customer.
    """
    refusal = facts.refusal
    if refusal is None and any(is_before(o.paid_at, facts.enrolled_at) for o in facts.orders):
        refusal = "existing_customer"
    if refusal is not None:
        return Standing(refusal=refusal, first_order=None, order_lost=False, reached=frozenset())
    qualifying: Sequence[PaidOrder] = ()
    if any(stage.name == "first_order" for stage in programme.stages):
        qualifying = qualifying_orders(
            facts.orders, minimum_fen=programme.minimum_order_fen, since=facts.enrolled_at
        )
    first = first_order(qualifying, facts.refunds)
    return Standing(
        refusal=None,
        first_order=first,
        order_lost=first is None and len(qualifying) > 0,
        reached=frozenset(s.name for s in programme.stages if _is_reached(s.trigger, first)),
    )


def _is_reached(trigger: Trigger, first: PaidOrder | None) -> bool:
    if trigger == "enrolled":
        return True
    if first is None:
        return False
    return trigger == "first_order_paid" or first.completed_at is not None


def state_of(standing: Standing, *, all_granted: bool) -> ReferralState:
    """The state that a standing amounts to.

    `all_granted`: every stage is reached and every reward of it has been settled with loyalty.
    """
    if standing.refusal is not None:
        return "rejected"
    if standing.order_lost:
        return "reversed"
    if all_granted:
        return "completed"
    return "qualified" if standing.first_order is not None else "enrolled"
