"""The referral programme over HTTP: its terms as they are, and new ones."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.referral.domain import programme as rules
from services.referral.domain.programme import Role, StageName, Trigger
from services.referral.operations.programmes import publish_programme
from services.referral.store.programmes import Published, current
from shared.db import Database
from shared.http.fields import Fen, Moment, PositiveFen, ReplyModel, RequestModel
from shared.http.writes import OpenWrite, Reply

router = APIRouter(prefix="/v1/referral_programme", tags=["referrals"])

#: Only the referrer is paid for bringing somebody, not those who brought the referrer.
PAID_LEVELS: Final = 1
_EXAMPLE: Final[dict[str, Any]] = {
    "expected_version": 1,
    "paid_levels": PAID_LEVELS,
    "stages": [
        {
            "name": "enrolled",
            "trigger": "enrolled",
            "rewards": [
                {"role": "referrer", "amount_fen": 2000},
                {"role": "referee", "amount_fen": 2000},
            ],
        },
        {
            "name": "first_order",
            "trigger": "first_order_completed",
            "rewards": [{"role": "referrer", "amount_fen": 5000}],
        },
    ],
    "minimum_order_fen": 9900,
    "voucher": {"threshold_fen": 0, "validity_days": 90},
    "caps": {"per_day": 20, "per_month": 100},
}

Count = Annotated[int, Field(ge=1, le=1_000_000)]


class StageRewardBody(RequestModel):
    """What one of the two gets when a stage is reached."""

    role: Role
    amount_fen: PositiveFen


class StageBody(RequestModel):
    """A step of a referral that is rewarded, and what makes it reached."""

    name: StageName
    trigger: Trigger
    rewards: Annotated[list[StageRewardBody], Field(min_length=1, max_length=2)]


class VoucherBody(RequestModel):
    """The terms of the vouchers in which rewards are paid."""

    threshold_fen: Annotated[Fen, Field(description="The least order amount they count on")]
    validity_days: Annotated[int, Field(ge=1, le=3650)]


class CapsBody(RequestModel):
    """How many newcomers a referrer is rewarded for, by business day and month; null: any."""

    per_day: Count | None = None
    per_month: Count | None = None


class ProgrammeBody(RequestModel):
    """New terms. They replace the old ones altogether, for newcomers from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    expected_version: Annotated[
        int, Field(ge=1, le=2**31 - 2, description="The version that the change was made from")
    ]
    paid_levels: Annotated[
        int, Field(ge=1, le=100, description="More than one is refused: that is a pyramid scheme")
    ] = PAID_LEVELS
    stages: Annotated[list[StageBody], Field(min_length=1, max_length=2)]
    minimum_order_fen: Fen = 0
    voucher: VoucherBody
    caps: CapsBody = CapsBody()
    starts_at: Moment | None = None
    ends_at: Moment | None = None


class StageRewardReply(ReplyModel):
    """What one of the two gets when a stage is reached."""

    role: Role
    amount_fen: int


class StageReply(ReplyModel):
    """A step of a referral that is rewarded, and what makes it reached."""

    name: StageName
    trigger: Trigger
    rewards: list[StageRewardReply]


class VoucherReply(ReplyModel):
    """The terms of the vouchers in which rewards are paid."""

    threshold_fen: int
    validity_days: int


class CapsReply(ReplyModel):
    """How many newcomers a referrer is rewarded for, by business day and month; null: any."""

    per_day: int | None
    per_month: int | None


class ProgrammeReply(ReplyModel):
    """A version of the terms. A referral keeps the one under which its newcomer enrolled."""

    version: int
    paid_levels: int
    stages: list[StageReply]
    minimum_order_fen: int
    voucher: VoucherReply
    caps: CapsReply
    starts_at: datetime | None
    ends_at: datetime | None
    published_at: datetime


@router.get("", operation_id="show_referral_programme", response_model=ProgrammeReply)
async def show_referral_programme(request: Request) -> ProgrammeReply:
    """The terms in force."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        return _reply(await current(session))


@router.put(
    "",
    operation_id="update_referral_programme",
    response_model=ProgrammeReply,
    responses={
        409: {"description": "Another version was published since (`programme_changed`)"},
        422: {"description": "The terms contradict themselves, or pay more than one level"},
    },
)
async def update_referral_programme(body: ProgrammeBody, write: OpenWrite) -> Response:
    """Publish new terms as the next version."""
    return await write.run(
        lambda transaction: publish_programme(
            transaction,
            programme=_programme(body),
            paid_levels=body.paid_levels,
            expected_version=body.expected_version,
        ),
        reply=lambda published: Reply(body=_reply(published)),
    )


def _programme(body: ProgrammeBody) -> rules.Programme:
    return rules.Programme(
        stages=[
            rules.Stage(
                name=stage.name,
                trigger=stage.trigger,
                rewards=[
                    rules.StageReward(role=reward.role, amount_fen=reward.amount_fen)
                    for reward in stage.rewards
                ],
            )
            for stage in body.stages
        ],
        voucher=rules.VoucherTerms(
            threshold_fen=body.voucher.threshold_fen, validity_days=body.voucher.validity_days
        ),
        minimum_order_fen=body.minimum_order_fen,
        caps=rules.Caps(per_day=body.caps.per_day, per_month=body.caps.per_month),
        starts_at=body.starts_at,
        ends_at=body.ends_at,
    )


def _reply(published: Published) -> ProgrammeReply:
    terms = published.programme
    return ProgrammeReply(
        version=published.version,
        paid_levels=PAID_LEVELS,
        stages=[
            StageReply(
                name=stage.name,
                trigger=stage.trigger,
                rewards=[
                    StageRewardReply(role=reward.role, amount_fen=reward.amount_fen)
                    for reward in stage.rewards
                ],
            )
            for stage in terms.stages
        ],
        minimum_order_fen=terms.minimum_order_fen,
        voucher=VoucherReply(
            threshold_fen=terms.voucher.threshold_fen, validity_days=terms.voucher.validity_days
        ),
        caps=CapsReply(per_day=terms.caps.per_day, per_month=terms.caps.per_month),
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        published_at=published.published_at,
    )
