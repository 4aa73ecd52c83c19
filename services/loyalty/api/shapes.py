"""What several replies have in common."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.programme import Programme
from shared.http.fields import LotRef, ReplyModel
from shared.kernel.texts import Language

LANGUAGE_NOTE = "Names come in the language of `Accept-Language`: zh-CN (default) or en."


TierCode = Annotated[str, Field(description="The tier for programs, such as `gold`")]
TierTitle = Annotated[str, Field(description="The tier for people, in the language asked for")]
Growth = Annotated[int, Field(description="Growth value: what tiers follow")]


class TierName(ReplyModel):
    """A tier and what it is called."""

    code: TierCode
    name: TierTitle


class BalancesReply(ReplyModel):
    """Points a member has: usable, not yet usable, reserved at checkout, and owed."""

    available: Annotated[int, Field(description="Points that can be spent now")]
    pending: Annotated[int, Field(description="Points earned that cannot be spent yet")]
    held: Annotated[int, Field(description="Points set aside by holds and reservations")]
    debt: Annotated[
        int, Field(description="Points owed after a clawback; later earnings repay them")
    ]


class LotPart(ReplyModel):
    """How much of a lot was taken (negative) or given (positive)."""

    id: LotRef
    points: Annotated[int, Field(description="Negative: taken from the lot; positive: given to it")]


class OrderPoints(ReplyModel):
    """Points of an order: as earned, less what refunds took back."""

    earned: Annotated[int, Field(description="As recorded, before anything was taken back")]
    clawed_back: Annotated[
        int, Field(description="What refunds and the cancellation took back of them")
    ]
    status: Annotated[str, Field(description="`pending` or `available`")]
    available_at: Annotated[
        datetime | None,
        Field(description="When they become available; null while completion is awaited"),
    ]
    expires_at: Annotated[
        datetime | None, Field(description="As earned; what became of the lot, `list_lots` says")
    ]


def tier_name(programme: Programme, code: str, *, language: Language) -> TierName:
    """A tier for people."""
    tier = programme.tier(code)
    return TierName(code=tier.code, name=tier.names[language])


def balances_reply(balances: Balances) -> BalancesReply:
    """Balances as replied."""
    return BalancesReply(
        available=balances.available,
        pending=balances.pending,
        held=balances.held,
        debt=balances.debt,
    )
