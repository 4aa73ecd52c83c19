"""What voucher templates look like over HTTP, and what vouchers say of their terms as they do."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from services.loyalty.domain.vouchers import VoucherKind
from shared.http.fields import (
    Fen,
    Line,
    MemberId,
    MemberRef,
    Moment,
    PositiveFen,
    RecordedAt,
    ReplyModel,
    RequestModel,
)

_NAME: Final = "What it is called, for people"
_PERCENT: Final = "Hundredths off the price: 15 is 85折"
_CAP: Final = "The most a percentage takes off"
_THRESHOLD: Final = "Counts on orders of at least this"
_DAYS: Final = "Full days after the day of issue"
_FROM: Final = "From issue if left out; not with `validity_days`"
_UNTIL: Final = "The first moment at which it no longer counts"
_LIMIT: Final = "How many one member may get; null: any"
_STOCK: Final = "How many there are; null: any"
_STACKABLE: Final = "Whether it may be used together with others like it"

Kind = Annotated[
    VoucherKind,
    Field(
        description="`amount_off` takes off `amount_fen`, `percent_off` a percentage, "
        "`new_customer` either, on a first order; `gift` nothing"
    ),
]
TemplateTitle = Annotated[str, Field(description=_NAME)]
TemplateRef = Annotated[str, Field(description="A voucher template's id")]
VoucherRef = Annotated[str, Field(description="A voucher's id")]
VoucherCode = Annotated[str, Field(description="The voucher's code, for people to show and type")]
AmountFen = Annotated[int | None, Field(description="What it takes off")]
PercentOff = Annotated[int | None, Field(description=_PERCENT)]
CapFen = Annotated[int | None, Field(description=_CAP)]
ThresholdFen = Annotated[int, Field(description=_THRESHOLD)]

_TEMPLATE: JsonDict = {
    "name": "满199减50",
    "kind": "amount_off",
    "amount_fen": 5000,
    "threshold_fen": 19900,
    "validity_days": 30,
    "stock": 1000,
    "per_member_limit": 1,
}


class ScopeFields(RequestModel):
    """Which goods a voucher counts on: all, or those of some categories and SKUs."""

    all: Annotated[bool, Field(description="All goods; then without the other two")] = False
    categories: Annotated[
        list[Line], Field(max_length=100, description="Goods of these categories, and the SKUs")
    ] = []
    skus: Annotated[
        list[Line], Field(max_length=100, description="These goods, and those of the categories")
    ] = []

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        if self.all == bool(self.categories or self.skus):
            raise PydanticCustomError("all_or_some", "must be all goods, or some")
        return self


class NewTemplate(RequestModel):
    """What a kind of voucher is worth, when it counts, and how many there are."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TEMPLATE]})

    name: Annotated[Line, Field(description=_NAME)]
    kind: Kind
    amount_fen: Annotated[PositiveFen | None, Field(description="What it takes off")] = None
    percent_off: Annotated[int | None, Field(ge=1, le=100, description=_PERCENT)] = None
    cap_fen: Annotated[PositiveFen | None, Field(description=_CAP)] = None
    threshold_fen: Annotated[Fen, Field(description=_THRESHOLD)] = 0
    scope: ScopeFields = ScopeFields(all=True)
    validity_days: Annotated[int | None, Field(ge=1, le=3650, description=_DAYS)] = None
    valid_from: Annotated[Moment | None, Field(description=_FROM)] = None
    valid_until: Annotated[Moment | None, Field(description=_UNTIL)] = None
    per_member_limit: Annotated[int | None, Field(ge=1, le=1000, description=_LIMIT)] = None
    stock: Annotated[int | None, Field(ge=1, le=100_000_000, description=_STOCK)] = None
    stackable: Annotated[bool, Field(description=_STACKABLE)] = False


class TemplateReply(ReplyModel):
    """A template and how many of it have been issued."""

    id: TemplateRef
    name: TemplateTitle
    kind: Kind
    amount_fen: AmountFen
    percent_off: PercentOff
    cap_fen: CapFen
    threshold_fen: ThresholdFen
    scope: Annotated[dict[str, Any], Field(description="As in the request, without defaults")]
    validity_days: Annotated[int | None, Field(description=_DAYS)]
    valid_from: Annotated[datetime | None, Field(description=_FROM)]
    valid_until: Annotated[datetime | None, Field(description=_UNTIL)]
    per_member_limit: Annotated[int | None, Field(description=_LIMIT)]
    stock: Annotated[int | None, Field(description=_STOCK)]
    issued: Annotated[int, Field(description="How many have been issued so far")]
    stackable: Annotated[bool, Field(description=_STACKABLE)]
    state: Annotated[str, Field(description="`active` or `closed`: no more are issued")]
    created_at: RecordedAt


class NewIssue(RequestModel):
    """To whom one voucher each is issued."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"member_ids": ["mem_01kb3f8v2q0000000000000000"]}]}
    )

    member_ids: Annotated[
        list[MemberId], Field(min_length=1, max_length=1000, description="Each of them once")
    ]


class IssuedVoucher(ReplyModel):
    """One voucher of a bulk issue."""

    id: VoucherRef
    code: VoucherCode
    member_id: MemberRef


class IssueReply(ReplyModel):
    """What was issued together."""

    id: Annotated[str, Field(description="The issue's id, a part of its vouchers' `source`")]
    template_id: TemplateRef
    issued: Annotated[int, Field(description="How many were issued")]
    vouchers: list[IssuedVoucher]
