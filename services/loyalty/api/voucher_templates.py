"""Voucher templates over HTTP: made, listed, shown, and issued from in bulk."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from services.loyalty.domain.vouchers import Validity, VoucherKind, Worth
from services.loyalty.operations.voucher_templates import create_template
from services.loyalty.operations.vouchers import Issue, issue_vouchers
from services.loyalty.store import voucher_templates as store
from services.loyalty.store.tables import VoucherTemplate
from shared.http.fields import (
    Fen,
    Line,
    MemberId,
    Moment,
    PositiveFen,
    ReplyModel,
    RequestModel,
    TemplateId,
)
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import KeyedWrite, OpenWrite, Reply
from shared.kernel.errors import InvalidField, NotFound
from shared.kernel.paging import decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/voucher_templates", tags=["vouchers"])

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

    all: bool = False
    categories: Annotated[list[Line], Field(max_length=100)] = []
    skus: Annotated[list[Line], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        if self.all == bool(self.categories or self.skus):
            raise PydanticCustomError("all_or_some", "must be all goods, or some")
        return self


class NewTemplate(RequestModel):
    """What a kind of voucher is worth, when it counts, and how many there are."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TEMPLATE]})

    name: Line
    kind: VoucherKind
    amount_fen: PositiveFen | None = None
    percent_off: Annotated[
        int | None, Field(ge=1, le=100, description="Hundredths off the price: 15 is 85折")
    ] = None
    cap_fen: Annotated[PositiveFen | None, Field(description="The most a percentage takes off")] = (
        None
    )
    threshold_fen: Annotated[Fen, Field(description="Counts on orders of at least this")] = 0
    scope: ScopeFields = ScopeFields(all=True)
    validity_days: Annotated[
        int | None, Field(ge=1, le=3650, description="Full days after the day of issue")
    ] = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    per_member_limit: Annotated[int | None, Field(ge=1, le=1000)] = None
    stock: Annotated[int | None, Field(ge=1, le=100_000_000)] = None
    stackable: bool = False


class TemplateReply(ReplyModel):
    """A template and how many of it have been issued."""

    id: str
    name: str
    kind: VoucherKind
    amount_fen: int | None
    percent_off: int | None
    cap_fen: int | None
    threshold_fen: int
    scope: dict[str, Any]
    validity_days: int | None
    valid_from: datetime | None
    valid_until: datetime | None
    per_member_limit: int | None
    stock: int | None
    issued: int
    stackable: bool
    state: str
    created_at: datetime


class NewIssue(RequestModel):
    """To whom one voucher each is issued."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"member_ids": ["mem_01kb3f8v2q0000000000000000"]}]}
    )

    member_ids: Annotated[list[MemberId], Field(min_length=1, max_length=1000)]


class IssuedVoucher(ReplyModel):
    """One voucher of a bulk issue."""

    id: str
    code: str
    member_id: str


class IssueReply(ReplyModel):
    """What was issued together."""

    id: str
    template_id: str
    issued: int
    vouchers: list[IssuedVoucher]


@router.post(
    "",
    operation_id="create_voucher_template",
    status_code=201,
    response_model=TemplateReply,
    responses={
        422: {"description": "`validation_failed`, also where the terms contradict each other"}
    },
)
async def create_voucher_template(body: NewTemplate, write: OpenWrite) -> Response:
    """Make a template."""
    return await write.run(
        lambda transaction: create_template(
            transaction,
            name=body.name,
            worth=Worth(
                kind=body.kind,
                amount_fen=body.amount_fen,
                percent_off=body.percent_off,
                cap_fen=body.cap_fen,
                threshold_fen=body.threshold_fen,
            ),
            scope=body.scope.model_dump(exclude_defaults=True),
            validity=Validity(
                days=body.validity_days, valid_from=body.valid_from, valid_until=body.valid_until
            ),
            per_member_limit=body.per_member_limit,
            stock=body.stock,
            stackable=body.stackable,
        ),
        reply=lambda template: Reply(body=_reply(template), status=201),
    )


@router.get("", operation_id="list_voucher_templates")
async def list_voucher_templates(
    request: Request, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PageReply[TemplateReply]:
    """All templates, newest first."""
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    async with request.app.state.database.reading() as session:
        rows = await store.list_templates(session, before=before, limit=limit + 1)
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.id))
    return PageReply(data=[_reply(row) for row in page.rows], next_cursor=page.next_cursor)


@router.get(
    "/{template_id}",
    operation_id="show_voucher_template",
    responses={404: {"description": "`not_found`: no such template"}},
)
async def show_voucher_template(template_id: TemplateId, request: Request) -> TemplateReply:
    """One template."""
    async with request.app.state.database.reading() as session:
        template = await store.find_template(session, template_id=template_id)
    if template is None:
        raise NotFound
    return _reply(template)


@router.post(
    "/{template_id}/vouchers",
    operation_id="issue_vouchers",
    status_code=201,
    response_model=IssueReply,
    responses={
        404: {"description": "`not_found`: no such template"},
        409: {
            "description": "`voucher_template_closed`, `voucher_template_over`, "
            "`voucher_stock_exhausted`, `voucher_limit_reached`"
        },
        422: {"description": "`members_unknown`"},
    },
)
async def issue(template_id: TemplateId, body: NewIssue, write: KeyedWrite) -> Response:
    """Issue one voucher to each of up to 1,000 members, all or none."""
    if len(set(body.member_ids)) < len(body.member_ids):
        raise InvalidField(pointer="/member_ids", reason="repeated_items")
    return await write.run(
        lambda transaction: issue_vouchers(
            transaction, template_id=template_id, member_ids=body.member_ids
        ),
        reply=lambda done: Reply(body=_issue_reply(done), status=201),
    )


def _reply(row: VoucherTemplate) -> TemplateReply:
    return TemplateReply.model_validate(row, from_attributes=True)


def _issue_reply(done: Issue) -> IssueReply:
    return IssueReply(
        id=done.id,
        template_id=done.template.id,
        issued=len(done.vouchers),
        vouchers=[
            IssuedVoucher(id=one.id, code=one.code, member_id=one.member_id)
            for one in done.vouchers
        ],
    )
