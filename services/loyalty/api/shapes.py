"""What several replies have in common."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.programme import Programme
from shared.http.fields import ReplyModel
from shared.kernel.texts import Language

LANGUAGE_NOTE = "Names come in the language of `Accept-Language`: zh-CN (default) or en."


class TierName(ReplyModel):
    """A tier and what it is called."""

    code: str
    name: str


class BalancesReply(ReplyModel):
    """Points a member has: usable, not yet usable, reserved at checkout, and owed."""

    available: int
    pending: int
    held: int
    debt: int


class LotPart(ReplyModel):
    """How much of a lot was taken (negative) or given (positive)."""

    id: str
    points: int


class OrderPoints(ReplyModel):
    """Points of an order: as earned, less what refunds took back."""

    earned: int
    clawed_back: int
    status: Annotated[str, Field(description="`pending` or `available`")]
    available_at: datetime | None
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
