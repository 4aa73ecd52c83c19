"""Voucher templates over HTTP: made, listed, shown, and issued from in bulk."""

from fastapi import APIRouter, Request, Response

from services.loyalty.api.voucher_templates_shapes import (
    IssuedVoucher,
    IssueReply,
    NewIssue,
    NewTemplate,
    TemplateReply,
)
from services.loyalty.domain.vouchers import Validity, Worth
from services.loyalty.operations.voucher_templates import create_template
from services.loyalty.operations.vouchers import Issue, issue_vouchers
from services.loyalty.store import voucher_templates as store
from services.loyalty.store.tables import VoucherTemplate
from shared.http.fields import TemplateId
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import KeyedWrite, OpenWrite, Reply
from shared.kernel.errors import InvalidField, NotFound
from shared.kernel.paging import decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/voucher_templates", tags=["vouchers"])


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
