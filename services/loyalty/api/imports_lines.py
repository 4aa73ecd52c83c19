"""Reading the lines of a file, NDJSON or CSV, as strictly as the API reads a request."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from services.loyalty.domain.imports import Line, Line_co, LineRefusal
from services.loyalty.domain.imports_lines import RawLine
from services.loyalty.domain.members import GivenIdentity, IdentityKind, normalise_identity
from shared.http.fields import MemberId, RequestModel
from shared.kernel.errors import InvalidField

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
#: Faults that have a name of their own; any other makes a value invalid.
_NAMED_FAULTS: Final = frozenset({"missing", "extra_forbidden"})


class FileRefused(Exception):
    """The file as a whole cannot be read; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class MemberFields(RequestModel):
    """Whose a line is, as it is written."""

    member_id: MemberId | None = None
    identity_kind: IdentityKind = "external"
    identity_value: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    app_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None


@dataclass(frozen=True, kw_only=True)
class LineFormat(Generic[Line]):
    """What the lines of a file are made of."""

    fields: type[MemberFields]
    #: The columns without which no line of a CSV file can be taken.
    required: frozenset[str]
    #: The columns of a CSV file that hold whole numbers.
    integers: tuple[str, ...]
    #: A line, by number, fields and identity; or its refusal for what no field says alone.
    line_of: Callable[[int, Any, GivenIdentity | None], Line | LineRefusal]
    #: What a line calls the thing that it tells of.
    reference_of: Callable[[Any], str]


class LineReader(Protocol[Line_co]):
    """Reads the lines of one file, in order."""

    def read(self, raw: RawLine) -> Line_co | LineRefusal | None:
        """A line, its refusal, or None for a line that tells of nothing: CSV's first.

        Raises FileRefused.
        """
        ...

    def end(self) -> None:
        """The file is over. Raises FileRefused when it cannot have been one."""
        ...


class NdjsonReader(Generic[Line]):
    """A JSON object on each line."""

    def __init__(self, given: LineFormat[Line]) -> None:
        self._format = given
        self._fields = TypeAdapter(given.fields)

    def read(self, raw: RawLine) -> Line | LineRefusal | None:
        """See LineReader."""
        if raw.content is None:
            return LineRefusal(line=raw.number, code="line_too_long")
        if not _is_utf8(raw.content):
            return LineRefusal(line=raw.number, code="not_utf8")
        try:
            fields = self._fields.validate_json(raw.content)
        except ValidationError as error:
            return _fault(raw, error, self._format)
        return _line(raw, fields, self._format)

    def end(self) -> None:
        """An empty file is a history without lines."""


class CsvReader(Generic[Line]):
    """Values separated by commas; the first line names the columns. A record is one line."""

    def __init__(self, given: LineFormat[Line]) -> None:
        self._format = given
        self._fields = TypeAdapter(given.fields)
        self._columns: list[str] | None = None

    def read(self, raw: RawLine) -> Line | LineRefusal | None:
        """See LineReader. An empty value is none."""
        cells = _cells(raw)
        if self._columns is None:
            self._columns = _header(cells, self._format)
            return None
        if isinstance(cells, str):
            return LineRefusal(line=raw.number, code=cells)
        if len(cells) != len(self._columns):
            return LineRefusal(line=raw.number, code="malformed_line")
        given: dict[str, Any] = {
            name: cell for name, cell in zip(self._columns, cells, strict=True) if cell != ""
        }
        for name in self._format.integers:
            if name in given and _INTEGER.fullmatch(given[name]):
                given[name] = int(given[name])
        try:
            fields = self._fields.validate_python(given)
        except ValidationError as error:
            return _fault(raw, error, self._format)
        return _line(raw, fields, self._format)

    def end(self) -> None:
        """Raise FileRefused for a file without a first line."""
        if self._columns is None:
            raise FileRefused("csv_header_missing")


def reader_of(media_type: str, given: LineFormat[Line]) -> LineReader[Line]:
    """What reads a file of this type and format."""
    return CsvReader(given) if media_type == CSV else NdjsonReader(given)


def _header(cells: list[str] | str, given: LineFormat[Line]) -> list[str]:
    if isinstance(cells, str):
        raise FileRefused("csv_header_invalid")
    columns = [cell.strip() for cell in cells]
    known = set(columns) <= given.fields.model_fields.keys()
    owned = "member_id" in columns or "identity_value" in columns
    complete = set(columns) >= given.required
    if not known or not owned or len(set(columns)) < len(columns) or not complete:
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


def _line(raw: RawLine, fields: MemberFields, given: LineFormat[Line]) -> Line | LineRefusal:
    def refusal(code: str, pointer: str) -> LineRefusal:
        reference = given.reference_of(fields)
        return LineRefusal(line=raw.number, code=code, pointer=pointer, reference=reference)

    if fields.member_id is None and fields.identity_value is None:
        return refusal("member_missing", "/identity_value")
    if fields.member_id is not None and fields.identity_value is not None:
        return refusal("member_ambiguous", "/member_id")
    try:
        identity = _identity(fields)
    except InvalidField as invalid:
        about_app = invalid.pointer.endswith("/app_id")
        return refusal(invalid.reason, "/app_id" if about_app else "/identity_value")
    return given.line_of(raw.number, fields, identity)


def _identity(fields: MemberFields) -> GivenIdentity | None:
    if fields.identity_value is None:
        return None
    return normalise_identity(
        kind=fields.identity_kind,
        value=fields.identity_value,
        app_id=fields.app_id,
        pointer="/identity",
    )


def _fault(raw: RawLine, error: ValidationError, given: LineFormat[Line]) -> LineRefusal:
    """The first fault of a line. Nothing of what was given goes into it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = first["loc"][0] if first["loc"] else None
    if name is None:
        return LineRefusal(line=raw.number, code="malformed_line")
    code = first["type"] if first["type"] in _NAMED_FAULTS else "invalid"
    known = name in given.fields.model_fields
    return LineRefusal(line=raw.number, code=code, pointer=f"/{name}" if known else None)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
