"""The wallet over HTTP."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from services.loyalty.api.examples import WALLET, shown
from services.loyalty.api.shapes import (
    LANGUAGE_NOTE,
    BalancesReply,
    Growth,
    TierCode,
    TierTitle,
    balances_reply,
    tier_name,
)
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.tiers import growth_needed, keep_needed
from services.loyalty.store.wallet import Wallet
from shared.http.fields import MemberId, MemberRef, ReplyModel
from shared.http.hot_routes import HotRoute
from shared.http.problems import request_language
from shared.kernel.texts import Language

router = APIRouter(prefix="/v1/members", tags=["points"], route_class=HotRoute)


class ExpiringPoints(ReplyModel):
    """Points that lapse together."""

    points: int
    expires_at: datetime


class WalletPoints(BalancesReply):
    """Balances and when the available points lapse, soonest first."""

    expiring: list[ExpiringPoints]


class NextTier(ReplyModel):
    """The tier above and the growth still missing."""

    code: TierCode
    name: TierTitle
    growth_needed: Annotated[int, Field(description="Growth value still missing")]


class WalletTier(ReplyModel):
    """Where the member stands."""

    code: TierCode
    name: TierTitle
    growth: Growth
    next: Annotated[NextTier | None, Field(description="Null at the top")]
    valid_until: Annotated[datetime | None, Field(description="Null in the lowest tier")]
    keep_needed: Annotated[int, Field(description="Growth missing to keep it then")]


class Entitlement(ReplyModel):
    """What the tier gives; `value` where there is a measure, in hundredths for the multiplier."""

    code: Annotated[str, Field(description="Such as `points_multiplier`; for the storefront")]
    value: int | None


class WalletVouchers(ReplyModel):
    """How many vouchers can be used now."""

    usable: Annotated[int, Field(description="Vouchers that are unused and valid now")]


class WalletReply(ReplyModel):
    """All that a member has."""

    member_id: MemberRef
    points: WalletPoints
    tier: WalletTier
    entitlements: list[Entitlement]
    vouchers: WalletVouchers
    stamps: Annotated[list[str], Field(description="Stamp cards; none exist in this programme")]


@router.get(
    "/{member_id}/wallet",
    operation_id="show_wallet",
    response_model=WalletReply,
    description=f"Points, tier, entitlements and vouchers in one call. {LANGUAGE_NOTE}",
    responses={200: shown(WALLET), 404: {"description": "`member_not_found`"}},
)
async def show_wallet(member_id: MemberId, request: Request) -> Response:
    """Points, tier, entitlements and vouchers in one call."""
    wallet: Wallet | None = await request.app.state.wallets.find(member_id)
    if wallet is None:
        raise MemberNotFound
    reply = _reply(wallet, member_id=member_id, language=request_language(request))
    return Response(reply.model_dump_json(), media_type="application/json")


def _reply(wallet: Wallet, *, member_id: str, language: Language) -> WalletReply:
    tier = wallet.programme.tier(wallet.standing.tier_code)
    codes = [Entitlement(code=code, value=None) for code in tier.entitlements]
    multiplier = Entitlement(code="points_multiplier", value=tier.multiplier_percent)
    return WalletReply(
        member_id=member_id,
        points=WalletPoints(
            **balances_reply(wallet.balances).model_dump(),
            expiring=[
                ExpiringPoints(points=one.points, expires_at=one.expires_at)
                for one in wallet.expiring
            ],
        ),
        tier=_tier(wallet, language=language),
        entitlements=[multiplier, *codes],
        vouchers=WalletVouchers(usable=wallet.usable_vouchers),
        stamps=[],
    )


def _tier(wallet: Wallet, *, language: Language) -> WalletTier:
    standing, programme = wallet.standing, wallet.programme
    above = programme.next_tier(standing.tier_code)
    needed = growth_needed(standing, programme=programme)
    name = tier_name(programme, standing.tier_code, language=language)
    return WalletTier(
        code=name.code,
        name=name.name,
        growth=standing.growth,
        next=None
        if above is None or needed is None
        else NextTier(code=above.code, name=above.names[language], growth_needed=needed),
        valid_until=standing.valid_until,
        keep_needed=keep_needed(standing, programme=programme),
    )
