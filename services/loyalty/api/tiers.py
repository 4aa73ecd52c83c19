"""Tiers over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from services.loyalty.api.shapes import LANGUAGE_NOTE, TierCode, TierTitle
from services.loyalty.store.programme import current_programme
from shared.http.fields import ReplyModel
from shared.http.paging import PageReply
from shared.http.problems import request_language

router = APIRouter(prefix="/v1/tiers", tags=["tiers"])


class TierReply(ReplyModel):
    """A tier: from which growth on, how points multiply (in hundredths), what it entitles to."""

    code: TierCode
    name: TierTitle
    growth: Annotated[int, Field(description="The growth value from which on it is reached")]
    multiplier_percent: Annotated[
        int, Field(description="100: the points as they are; 150: half as many again")
    ]
    entitlements: Annotated[list[str], Field(description="Codes of what it gives")]


@router.get(
    "",
    operation_id="list_tiers",
    response_model=PageReply[TierReply],
    description=f"All tiers, lowest first. {LANGUAGE_NOTE}",
)
async def list_tiers(request: Request) -> PageReply[TierReply]:
    """All tiers, lowest first."""
    language = request_language(request)
    async with request.app.state.database.reading() as session:
        programme = await current_programme(session, now=request.app.state.clock.now())
    tiers = [
        TierReply(
            code=tier.code,
            name=tier.names[language],
            growth=tier.growth,
            multiplier_percent=tier.multiplier_percent,
            entitlements=list(tier.entitlements),
        )
        for tier in programme.tiers
    ]
    return PageReply(data=tiers, next_cursor=None)
