"""The lines of an order history."""

from typing import Final

from services.loyalty.api.imports_lines import LineFormat, MemberFields
from services.loyalty.domain.imports import LineRefusal
from services.loyalty.domain.imports_orders import OrderLine
from services.loyalty.domain.members import GivenIdentity
from shared.http.fields import ExternalId, Fen, Moment


class OrderFields(MemberFields):
    """One order of a history, as it is written."""

    order_id: ExternalId
    paid_fen: Fen
    refunded_fen: Fen = 0
    paid_at: Moment
    completed_at: Moment | None = None


def _line(
    number: int, fields: OrderFields, identity: GivenIdentity | None
) -> OrderLine | LineRefusal:
    def refusal(code: str, pointer: str) -> LineRefusal:
        return LineRefusal(line=number, code=code, pointer=pointer, reference=fields.order_id)

    if fields.refunded_fen > fields.paid_fen:
        return refusal("refunded_above_paid", "/refunded_fen")
    if fields.completed_at is not None and fields.completed_at < fields.paid_at:
        return refusal("completed_before_paid", "/completed_at")
    return OrderLine(
        line=number,
        reference=fields.order_id,
        member_id=fields.member_id,
        identity=identity,
        paid_fen=fields.paid_fen,
        refunded_fen=fields.refunded_fen,
        paid_at=fields.paid_at,
        completed_at=fields.completed_at,
    )


ORDER_LINES: Final = LineFormat[OrderLine](
    fields=OrderFields,
    required=frozenset({"order_id", "paid_fen", "paid_at"}),
    integers=("paid_fen", "refunded_fen"),
    line_of=_line,
    reference_of=lambda fields: fields.order_id,
)
