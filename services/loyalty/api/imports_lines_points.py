"""The lines of a file of points: opening balances and past movements."""

from typing import Annotated, Final

from pydantic import Field

from services.loyalty.api.imports_lines import LineFormat, MemberFields
from services.loyalty.domain.imports import LineRefusal, refused
from services.loyalty.domain.imports_points import MovementKind, PointsLine, fault_of
from services.loyalty.domain.members import GivenIdentity
from shared.http.fields import MAX_POINTS, ExternalId, LongLine, Moment


class PointsFields(MemberFields):
    """One movement of points, as it is written."""

    kind: MovementKind
    reference: ExternalId
    points: Annotated[int, Field(ge=-MAX_POINTS, le=MAX_POINTS)]
    occurred_at: Moment | None = None
    available_at: Moment | None = None
    expires_at: Moment | None = None
    reason: LongLine | None = None


def _line(
    number: int, fields: PointsFields, identity: GivenIdentity | None
) -> PointsLine | LineRefusal:
    line = PointsLine(
        line=number,
        reference=fields.reference,
        member_id=fields.member_id,
        identity=identity,
        kind=fields.kind,
        points=fields.points,
        occurred_at=fields.occurred_at,
        available_at=fields.available_at,
        expires_at=fields.expires_at,
        reason=fields.reason,
    )
    fault = fault_of(line)
    return line if fault is None else refused(line, fault.code, pointer=fault.pointer)


POINTS_LINES: Final = LineFormat[PointsLine](
    fields=PointsFields,
    required=frozenset({"kind", "reference", "points"}),
    integers=("points",),
    line_of=_line,
    reference_of=lambda fields: fields.reference,
)
