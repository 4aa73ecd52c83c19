"""Field types for requests: strict, bounded, and clean enough to be stored and shown."""

import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from shared.kernel.money import MAX_FEN

#: The most points one request may move.
MAX_POINTS: Final = 10_000_000
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_DEPTH_MAX: Final = 4
_ITEMS_MAX: Final = 200
# Overrides of writing direction make a text read otherwise than it is stored.
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_BOM: Final = "\ufeff"
_MEMBER: Final = "A member's id"
_ORDER: Final = "The storefront's own order id"
_REASON: Final = "Why. No personal data; it goes when the member is erased"
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


class RequestModel(BaseModel):
    """A request body: strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class ReplyModel(BaseModel):
    """A reply body."""

    model_config = ConfigDict(frozen=True)


def clean_text(given: str) -> str:
    """Normalise to NFC; refuse control characters, lone surrogates and direction overrides."""
    if given.isascii() and given.isprintable():
        return given
    for letter in given:
        bad = unicodedata.category(letter) in ("Cc", "Cs") and letter != "\n"
        if bad or letter in _BIDI or letter == _BOM or _is_noncharacter(letter):
            raise PydanticCustomError("unclean_text", "contains characters that cannot be stored")
    return unicodedata.normalize("NFC", given)


def _is_noncharacter(letter: str) -> bool:
    """Set aside by Unicode for ever. What is only newer than our tables may be in a name."""
    return ord(letter) & 0xFFFE == 0xFFFE or "\ufdd0" <= letter <= "\ufdef"


def _one_line(given: str) -> str:
    if given.isascii() and given.isprintable() and given[:1] != " " != given[-1:]:
        return given
    cleaned = clean_text(given).strip()
    if len(cleaned.splitlines()) > 1:
        raise PydanticCustomError("unclean_text", "must be one line")
    if not cleaned:
        raise PydanticCustomError("blank_text", "must not be blank")
    return cleaned


def _not_zero(given: int) -> int:
    if given == 0:
        raise PydanticCustomError("zero_points", "must not be zero")
    return given


def _written_out(given: object) -> object:
    """Only a moment in words: a bare number would be one to pydantic, in a unit that it guesses."""
    if isinstance(given, str):
        if not _DATE_TIME.match(given):
            raise PydanticCustomError("datetime_parsing", "must be an RFC 3339 date-time")
    elif not isinstance(given, datetime):
        raise PydanticCustomError("datetime_type", "must be an RFC 3339 date-time")
    return given


def _within_reach(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise PydanticCustomError("moment_out_of_range", "must lie between 1990 and 2100")
    return at.astimezone(UTC)


def clean_json(value: Any, depth: int = 0) -> Any:
    """Check free-form JSON: bounded depth and breadth, clean texts, finite and storable numbers."""
    if depth > _DEPTH_MAX:
        raise PydanticCustomError("json_too_deep", "is nested too deeply")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "must be a finite number")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        raise PydanticCustomError("number_too_large", "must be below 2**53")
    if isinstance(value, list | dict) and len(value) > _ITEMS_MAX:
        raise PydanticCustomError("json_too_large", "has too many members")
    if isinstance(value, list):
        return [clean_json(inner, depth + 1) for inner in value]
    if isinstance(value, dict):
        return {clean_text(k): clean_json(inner, depth + 1) for k, inner in value.items()}
    return value


# Strict mode would refuse a text for a moment, which is how JSON writes one.
Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_written_out),
    AfterValidator(_within_reach),
]
Line = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line)]
LongLine = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line)]
Reason = Annotated[
    str,
    Field(min_length=1, max_length=200, description=_REASON),
    AfterValidator(_one_line),
]
LongReason = Annotated[LongLine, Field(description=_REASON)]
Points = Annotated[int, Field(ge=1, le=MAX_POINTS)]
#: Points to give, or (negative) to take.
SignedPoints = Annotated[int, Field(ge=-MAX_POINTS, le=MAX_POINTS), AfterValidator(_not_zero)]
Fen = Annotated[int, Field(ge=0, le=MAX_FEN)]
PositiveFen = Annotated[int, Field(ge=1, le=MAX_FEN)]
Quantity = Annotated[int, Field(ge=1, le=100_000)]
JsonObject = Annotated[dict[str, Any], AfterValidator(clean_json)]

#: Ids that callers make: orders, refunds, references. Safe in a path, a log and a spreadsheet.
ExternalId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}$")]
OrderId = Annotated[ExternalId, Field(description=_ORDER)]
Sku = Annotated[ExternalId, Field(description="The storefront's own id of the article")]
Category = Annotated[Line, Field(description="The storefront's own category of the article")]
DeviceId = Annotated[
    Line,
    Field(description="The customer's device, by an id of the caller's; passed on to referral"),
]


def id_pattern(prefix: str) -> str:
    """The pattern of our own ids with a prefix."""
    return rf"^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$"


MemberId = Annotated[str, Field(pattern=id_pattern("mem"), description=_MEMBER)]
VoucherId = Annotated[str, Field(pattern=id_pattern("vch"), description="A voucher's id")]
TemplateId = Annotated[str, Field(pattern=id_pattern("vtp"), description="A voucher template's id")]
ReferralId = Annotated[str, Field(pattern=id_pattern("ref"), description="A referral's id")]
ReservationId = Annotated[str, Field(pattern=id_pattern("rsv"), description="A reservation's id")]
RedemptionId = Annotated[
    str, Field(pattern=id_pattern("rdm"), description="A redemption's id; a hold has one, too")
]
LotId = Annotated[str, Field(pattern=id_pattern("lot"), description="A lot's id")]
NoticeId = Annotated[str, Field(pattern=id_pattern("exn"), description="A notice's id")]
TransferId = Annotated[str, Field(pattern=id_pattern("trf"), description="A transfer's id")]
AdjustmentId = Annotated[str, Field(pattern=id_pattern("adj"), description="An adjustment's id")]

# What replies show: nothing is checked there, only said.
MemberRef = Annotated[str, Field(description=_MEMBER)]
OrderRef = Annotated[str, Field(description=_ORDER)]
LotRef = Annotated[str, Field(description="A lot's id")]
RecordedAt = Annotated[datetime, Field(description="When it was recorded here")]
OccurredAt = Annotated[datetime, Field(description="When it happened")]
Actor = Annotated[
    str, Field(description="Who did it: `api_key:` and the key's id, or `job:` and the job's name")
]
