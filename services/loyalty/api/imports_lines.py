"""Reading the lines of an order history, NDJSON or CSV, as strictly as the API reads an order."""

import csv
import re
from typing import Annotated, Any, Final, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from services.loyalty.domain.imports import ImportedLine, LineRefusal
from services.loyalty.domain.imports_lines import RawLine
from services.loyalty.domain.members import GivenIdentity, IdentityKind, normalise_identity
from shared.http.fields import ExternalId, Fen, MemberId, Moment, RequestModel
from shared.kernel.errors import InvalidField

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

_REQUIRED: Final = frozenset({"order_id", "paid_fen", "paid_at"})
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_INTEGERS: Final = ("paid_fen", "refunded_fen")
#: Faults that have a name of their own; any other makes a value invalid.
_NAMED_FAULTS: Final = frozenset({"missing", "extra_forbidden"})


class FileRefused(Exception):
    """The file as a whole cannot be read; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LineFields(RequestModel):
    """One line of a history, as it is written."""

    order_id: ExternalId
    member_id: MemberId | None = None
    identity_kind: IdentityKind = "external"
    identity_value: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    app_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    paid_fen: Fen
    refunded_fen: Fen = 0
    paid_at: Moment


_fields = TypeAdapter(LineFields)


class LineReader(Protocol):
    """Reads the lines of one file, in order."""

    def read(self, raw: RawLine) -> ImportedLine | LineRefusal | None:
        """An order, the line's refusal, or None for a line that is no order: CSV's first.

        Raises FileRefused.
        """
        ...

    def end(self) -> None:
        """The file is over. Raises FileRefused when it cannot have been one."""
        ...


class NdjsonReader:
    """A JSON object on each line."""

    def read(self, raw: RawLine) -> ImportedLine | LineRefusal | None:
        """See LineReader."""
        if raw.content is None:
            return LineRefusal(line=raw.number, code="line_too_long")
        if not _is_utf8(raw.content):
            return LineRefusal(line=raw.number, code="not_utf8")
        try:
            fields = _fields.validate_json(raw.content)
        except ValidationError as error:
            return _fault(raw, error)
        return _line(raw, fields)

    def end(self) -> None:
        """An empty file is a history without orders."""


class CsvReader:
    """Values separated by commas; the first line names the columns. A record is one line."""

    def __init__(self) -> None:
        self._columns: list[str] | None = None

    def read(self, raw: RawLine) -> ImportedLine | LineRefusal | None:
        """See LineReader. An empty value is none."""
        cells = _cells(raw)
        if self._columns is None:
            self._columns = _header(cells)
            return None
        if isinstance(cells, str):
            return LineRefusal(line=raw.number, code=cells)
        if len(cells) != len(self._columns):
            return LineRefusal(line=raw.number, code="malformed_line")
        given: dict[str, Any] = {
            name: cell for name, cell in zip(self._columns, cells, strict=True) if cell != ""
        }
        for name in _INTEGERS:
            if name in given and _INTEGER.fullmatch(given[name]):
                given[name] = int(given[name])
        try:
            fields = _fields.validate_python(given)
        except ValidationError as error:
            return _fault(raw, error)
        return _line(raw, fields)

    def end(self) -> None:
        """Raise FileRefused for a file without a first line."""
        if self._columns is None:
            raise FileRefused("csv_header_missing")


def reader_of(media_type: str) -> LineReader:
    """What reads a file of this type."""
    return CsvReader() if media_type == CSV else NdjsonReader()


def _header(cells: list[str] | str) -> list[str]:
    if isinstance(cells, str):
        raise FileRefused("csv_header_invalid")
    columns = [cell.strip() for cell in cells]
    known = set(columns) <= LineFields.model_fields.keys()
    owned = "member_id" in columns or "identity_value" in columns
    if not known or not owned or len(set(columns)) < len(columns) or not set(columns) >= _REQUIRED:
        raise FileRefused("csv_header_invalid")
    return columns


def _cells(raw: RawLine) -> list[str] | str:
    """The values of a line, or the code of its refusal."""
    if raw.content is None:
        return "line_too_long"
    try:
        (cells,) = csv.reader([raw.content.decode()], strict=True)
    except UnicodeDecodeError:
        return "not_utf8"
    except csv.Error:
        return "malformed_line"
    return cells


def _line(raw: RawLine, fields: LineFields) -> ImportedLine | LineRefusal:
    def refusal(code: str, pointer: str) -> LineRefusal:
        return LineRefusal(line=raw.number, code=code, pointer=pointer, order_id=fields.order_id)

    if fields.member_id is None and fields.identity_value is None:
        return refusal("member_missing", "/identity_value")
    if fields.member_id is not None and fields.identity_value is not None:
        return refusal("member_ambiguous", "/member_id")
    if fields.refunded_fen > fields.paid_fen:
        return refusal("refunded_above_paid", "/refunded_fen")
    try:
        identity = _identity(fields)
    except InvalidField as invalid:
        about_app = invalid.pointer.endswith("/app_id")
        return refusal(invalid.reason, "/app_id" if about_app else "/identity_value")
    return ImportedLine(
        line=raw.number,
        order_id=fields.order_id,
        member_id=fields.member_id,
        identity=identity,
        paid_fen=fields.paid_fen,
        refunded_fen=fields.refunded_fen,
        paid_at=fields.paid_at,
    )


def _identity(fields: LineFields) -> GivenIdentity | None:
    if fields.identity_value is None:
        return None
    return normalise_identity(
        kind=fields.identity_kind,
        value=fields.identity_value,
        app_id=fields.app_id,
        pointer="/identity",
    )


def _fault(raw: RawLine, error: ValidationError) -> LineRefusal:
    """The first fault of a line. Nothing of what was given goes into it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = first["loc"][0] if first["loc"] else None
    if name is None:
        return LineRefusal(line=raw.number, code="malformed_line")
    code = first["type"] if first["type"] in _NAMED_FAULTS else "invalid"
    known = name in LineFields.model_fields
    return LineRefusal(line=raw.number, code=code, pointer=f"/{name}" if known else None)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
