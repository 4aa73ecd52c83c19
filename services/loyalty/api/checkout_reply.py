"""What checkout replies."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.loyalty.domain.baskets import Combination, Quote
from services.loyalty.store.tables import Reservation
from shared.http.fields import MemberRef, RecordedAt, ReplyModel
from shared.kernel.money import yuan_text
from shared.kernel.texts import Language, text


class ReasonReply(ReplyModel):
    """Why a voucher does not count, as a code and in words."""

    code: Annotated[str, Field(description="For programs, such as `voucher_below_threshold`")]
    detail: Annotated[str, Field(description="For people")]


class VoucherQuote(ReplyModel):
    """Whether a voucher counts on this basket by itself, and what it would take off."""

    id: Annotated[str, Field(description="A voucher's id")]
    usable: bool
    discount_fen: Annotated[int, Field(description="What it takes off by itself")]
    reasons: Annotated[list[ReasonReply], Field(description="All that speaks against it")]
    gap_fen: Annotated[int, Field(description="What the basket lacks for it to count")]


class PointsQuote(ReplyModel):
    """How many points may be used, and what the chosen ones are worth."""

    max_usable: Annotated[int, Field(description="The most that can be used on this basket")]
    used: Annotated[int, Field(description="Points that were chosen")]
    value_fen: Annotated[int, Field(description="What these points are worth")]


class CombinationReply(ReplyModel):
    """Vouchers used together."""

    voucher_ids: Annotated[list[str], Field(description="In the order of their use")]
    discount_fen: Annotated[int, Field(description="What the vouchers take off together")]


class QuoteReply(ReplyModel):
    """The price of a basket with what was chosen; nothing is held."""

    payable_fen: Annotated[int, Field(description="What is left to be paid in cash")]
    discount_fen: Annotated[int, Field(description="What the vouchers take off together")]
    vouchers: Annotated[
        list[VoucherQuote],
        Field(
            description="Each by itself: the 200 that lapse soonest, and those chosen. `best` is "
            "made of these"
        ),
    ]
    points: PointsQuote
    best: CombinationReply
    expires_at: Annotated[datetime, Field(description="Ask again after this")]


class PointsHeld(ReplyModel):
    """Points that are held, and what they are worth."""

    used: Annotated[int, Field(description="Points that were chosen")]
    value_fen: Annotated[int, Field(description="What these points are worth")]


class ReservationReply(ReplyModel):
    """What a checkout holds, until an order captures it or its time is over."""

    id: Annotated[str, Field(description="A reservation's id")]
    member_id: MemberRef
    state: Annotated[str, Field(description="`held`, `captured`, `released` or `expired`")]
    payable_fen: Annotated[int, Field(description="What is left to be paid in cash")]
    discount_fen: Annotated[int, Field(description="What the vouchers take off together")]
    voucher_ids: Annotated[list[str], Field(description="In the order of their use")]
    points: PointsHeld
    order_id: Annotated[str | None, Field(description="The order that captured it")]
    created_at: RecordedAt
    expires_at: Annotated[datetime, Field(description="When it is released unless captured before")]


def quote_reply(found: Quote, *, expires_at: datetime, language: Language) -> QuoteReply:
    """A quote as replied."""
    return QuoteReply(
        payable_fen=found.payable_fen,
        discount_fen=found.chosen.discount_fen,
        vouchers=[
            VoucherQuote(
                id=verdict.id,
                usable=verdict.usable,
                discount_fen=verdict.discount_fen,
                reasons=[
                    _reason(code, gap_fen=verdict.gap_fen, language=language)
                    for code in verdict.reasons
                ],
                gap_fen=verdict.gap_fen,
            )
            for verdict in found.verdicts
        ],
        points=PointsQuote(
            max_usable=found.max_points, used=found.points, value_fen=found.points_value_fen
        ),
        best=_combination(found.best),
        expires_at=expires_at,
    )


def _reason(code: str, *, gap_fen: int, language: Language) -> ReasonReply:
    facts = {"gap_yuan": yuan_text(gap_fen)}
    return ReasonReply(
        code=code, detail=text(f"checkout_reason.{code}", language=language, facts=facts)
    )


def _combination(found: Combination) -> CombinationReply:
    return CombinationReply(voucher_ids=list(found.voucher_ids), discount_fen=found.discount_fen)


def reservation_reply(reservation: Reservation) -> ReservationReply:
    """A reservation as replied."""
    return ReservationReply(
        id=reservation.id,
        member_id=reservation.member_id,
        state=reservation.state,
        payable_fen=reservation.payable_fen,
        discount_fen=reservation.discount_fen,
        voucher_ids=[one["id"] for one in reservation.vouchers],
        points=PointsHeld(used=reservation.points, value_fen=reservation.points_value_fen),
        order_id=reservation.order_id,
        created_at=reservation.created_at,
        expires_at=reservation.expires_at,
    )
