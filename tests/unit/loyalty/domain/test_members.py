"""Identities: written in one way, checked, masked."""

from datetime import date

import pytest

from services.loyalty.domain.members import (
    GivenIdentity,
    mask_phone,
    normalise_identity,
    normalise_phone,
    read_birthday,
)
from shared.kernel.errors import InvalidField

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "+8613800138000",
        "0086 138 0013 8000",
        "138-0013-8000",
        " 138 0013 8000 ",
        "１３８００１３８０００",
    ],
)
def test_a_phone_is_the_same_however_it_is_written(written: str) -> None:
    assert normalise_phone(written, pointer="/v") == "+8613800138000"


@pytest.mark.parametrize(
    "written",
    ["", "12345", "138001380001", "12800138000", "1380013800x", "+86", "110", "13800138000;ext=1"],
)
def test_a_phone_that_cannot_exist_is_refused(written: str) -> None:
    with pytest.raises(InvalidField) as refused:
        normalise_phone(written, pointer="/identities/0/value")
    assert refused.value.pointer == "/identities/0/value"
    assert not written or written not in str(refused.value.facts)


def test_a_phone_from_abroad_keeps_its_country() -> None:
    assert normalise_phone("+1 415-555-2671", pointer="/v") == "+14155552671"


@pytest.mark.parametrize(
    ("phone", "masked"),
    [("+8613800138000", "138****8000"), ("+14155552671", "+1****2671")],
)
def test_a_phone_is_shown_masked(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked


def test_an_openid_belongs_to_an_app() -> None:
    with pytest.raises(InvalidField) as refused:
        normalise_identity(kind="wechat_openid", value="oAbCdEf123", app_id=None, pointer="/i")
    assert refused.value.reason == "app_id_required"
    known = normalise_identity(kind="wechat_openid", value="oAbCdEf123", app_id="wx1", pointer="/i")
    assert known == GivenIdentity(kind="wechat_openid", app_id="wx1", value="oAbCdEf123")


@pytest.mark.parametrize("kind", ["external", "phone", "wechat_unionid"])
def test_no_other_identity_does(kind: str) -> None:
    with pytest.raises(InvalidField) as refused:
        normalise_identity(kind=kind, value="13800138000", app_id="wx1", pointer="/i")  # type: ignore[arg-type]
    assert (refused.value.pointer, refused.value.reason) == ("/i/app_id", "app_id_unexpected")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("external", "a b"),
        ("external", "用户"),
        ("external", "x" * 129),
        ("wechat_unionid", "o!"),
        ("wechat_unionid", "short"),
        ("wechat_unionid", "x" * 65),
    ],
)
def test_an_identity_that_is_not_written_as_its_kind_is_refused(kind: str, value: str) -> None:
    with pytest.raises(InvalidField):
        normalise_identity(kind=kind, value=value, app_id=None, pointer="/i")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["05-20", "02-29", "1995-05-20", "2000-02-29", "2026-11-23"])
def test_a_birthday_is_a_day_with_or_without_its_year(given: str) -> None:
    assert read_birthday(given, pointer="/birthday", today=TODAY) == given


@pytest.mark.parametrize(
    "given",
    ["5-20", "02-30", "13-01", "1999-02-29", "1899-12-31", "2026-11-24", "20-05-1995", "٠٥-٢٠"],
)
def test_no_other_day_is_one(given: str) -> None:
    with pytest.raises(InvalidField):
        read_birthday(given, pointer="/birthday", today=TODAY)
