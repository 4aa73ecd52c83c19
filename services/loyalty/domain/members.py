"""Members: what identifies them, and how that is written, checked and masked."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import phonenumbers

from shared.kernel.errors import InvalidField, Refusal, RefusalKind

IdentityKind = Literal["external", "phone", "wechat_openid", "wechat_unionid"]
MemberState = Literal["active", "merged", "erased"]

_HOME_REGION: Final = "CN"
_HOME_CODE: Final = 86
_PHONE: Final = re.compile(r"\+?[0-9 ()\-.]{5,30}")
_EXTERNAL: Final = re.compile(r"[\x21-\x7e]{1,128}")
_WECHAT: Final = re.compile(r"[A-Za-z0-9_\-]{6,64}")
_APP: Final = re.compile(r"[A-Za-z0-9_\-]{1,64}")
_BIRTHDAY: Final = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})", re.ASCII)
_LEAP_YEAR: Final = 2000
_FIRST_YEAR: Final = 1900


class MemberNotFound(Refusal):
    """No such member, or erased."""

    code = "member_not_found"
    kind = RefusalKind.not_found


class MemberMerged(Refusal):
    """The member was merged into another, who goes on in their place."""

    code = "member_merged"


class IdentitiesConflict(Refusal):
    """The identities belong to different members. Nothing was changed."""

    code = "identities_conflict"


class IdentityErased(Refusal):
    """The member known by an identity was being erased at this moment; the next try is new."""

    code = "identity_erased"
    kind = RefusalKind.unavailable


@dataclass(frozen=True, kw_only=True)
class GivenIdentity:
    """One way to know a member, normalised. `app_id` is empty but for openids."""

    kind: IdentityKind
    app_id: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a member may tell about themselves. None is not told."""

    nickname: str | None = None
    birthday: str | None = None
    gender: str | None = None
    city: str | None = None
    tags: tuple[str, ...] = ()


def normalise_identity(
    *, kind: IdentityKind, value: str, app_id: str | None, pointer: str
) -> GivenIdentity:
    """Write an identity in its one canonical way. Raises InvalidField at `pointer`."""
    needs_app = kind == "wechat_openid"
    if needs_app and app_id is None:
        raise InvalidField(pointer=f"{pointer}/app_id", reason="app_id_required")
    if not needs_app and app_id is not None:
        raise InvalidField(pointer=f"{pointer}/app_id", reason="app_id_unexpected")
    if app_id is not None and not _APP.fullmatch(app_id):
        raise InvalidField(pointer=f"{pointer}/app_id", reason="identity_malformed")
    if kind == "phone":
        written = normalise_phone(value, pointer=f"{pointer}/value")
    else:
        pattern = _EXTERNAL if kind == "external" else _WECHAT
        written = value.strip()
        if not pattern.fullmatch(written):
            raise InvalidField(pointer=f"{pointer}/value", reason="identity_malformed")
    return GivenIdentity(kind=kind, app_id=app_id or "", value=written)


def normalise_phone(value: str, *, pointer: str) -> str:
    """A phone number as E.164; without a country code it is one of the mainland.

    Raises InvalidField unless it is a number that can exist.
    """
    given = unicodedata.normalize("NFKC", value).strip()
    if _PHONE.fullmatch(given):
        try:
            number = phonenumbers.parse(given, _HOME_REGION)
        except phonenumbers.NumberParseException:
            number = None
        if number is not None and phonenumbers.is_valid_number(number):
            return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    raise InvalidField(pointer=pointer, reason="phone_invalid")


def mask_phone(e164: str) -> str:
    """A phone number for people to recognise: `138****1234`, abroad `+1****2671`."""
    number = phonenumbers.parse(e164)
    national = str(number.national_number)
    shown = national[-4:]
    if number.country_code == _HOME_CODE:
        return f"{national[:3]}****{shown}"
    return f"+{number.country_code}****{shown}"


def read_birthday(given: str, *, pointer: str, today: date) -> str:
    """Check a birthday, `MM-DD` or `YYYY-MM-DD`. Raises InvalidField unless there is such a day."""
    match = _BIRTHDAY.fullmatch(given)
    if match is None:
        raise InvalidField(pointer=pointer, reason="birthday_malformed")
    year, month, day = match.groups()
    try:
        # Without a year 29 February is a birthday as any other.
        born = date(int(year or _LEAP_YEAR), int(month), int(day))
    except ValueError:
        raise InvalidField(pointer=pointer, reason="birthday_malformed") from None
    if year is not None and not (born.year >= _FIRST_YEAR and born <= today):
        raise InvalidField(pointer=pointer, reason="birthday_out_of_range")
    return given
