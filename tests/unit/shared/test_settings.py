"""Settings: a mistake in the environment stops the start, and is told without telling secrets."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings, async_url, decode_key, encode_key

KEY = encode_key(bytes(range(32)))
GOOD = {
    "SHOP_DATABASE_URL": "postgresql://shop:geheim@db:5432/shop",
    "REDIS_URL": "redis://cache:6379/0",
    "INTERNAL_KEY": KEY,
    "INTERNAL_TRUSTED_KEYS": f"gateway={KEY},loyalty={KEY}",
}


class ShopSettings(ServiceSettings):
    """As a service's settings.py has it."""

    model_config = SettingsConfigDict(env_prefix="SHOP_")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the good environment with changes; None leaves a variable out."""

    def become(**changed: str | None) -> None:
        for name, value in {**GOOD, **changed}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return become


def test_settings_are_read_from_the_environment(environment: Any) -> None:
    environment(HUITOU_MODE="sandbox", SHOP_POOL_SIZE="5", SHOP_BACKGROUND="false")
    settings = ShopSettings()
    assert settings.database_url.get_secret_value() == (
        "postgresql+asyncpg://shop:geheim@db:5432/shop"
    )
    assert settings.internal_key.get_secret_value() == bytes(range(32))
    assert settings.internal_trusted_keys == {
        "gateway": bytes(range(32)),
        "loyalty": bytes(range(32)),
    }
    assert (settings.mode, settings.pool_size, settings.background) == ("sandbox", 5, False)
    assert settings.otlp_endpoint is None


WRONG: list[tuple[str, str | None]] = [
    ("SHOP_DATABASE_URL", None),
    ("SHOP_DATABASE_URL", "mysql://shop:geheim@db/shop"),
    ("SHOP_DATABASE_URL", "geheim"),
    ("REDIS_URL", None),
    ("INTERNAL_KEY", None),
    ("INTERNAL_KEY", "geheim"),
    ("INTERNAL_KEY", "geheim" + KEY),
    ("INTERNAL_KEY", KEY[:-2]),
    ("INTERNAL_KEY", "geheim中文"),
    ("INTERNAL_KEY", ""),
    ("INTERNAL_TRUSTED_KEYS", None),
    ("INTERNAL_TRUSTED_KEYS", "gateway=geheim"),
    ("INTERNAL_TRUSTED_KEYS", "geheim"),
    ("INTERNAL_TRUSTED_KEYS", f"gateway={KEY},loyalty"),
    ("HUITOU_MODE", "geheim"),
    ("LOG_LEVEL", "geheim"),
    ("SHOP_POOL_SIZE", "0"),
    ("SHOP_POOL_SIZE", "geheim"),
    ("SHOP_BACKGROUND", "geheim"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_mistake_is_named_and_its_value_is_not_shown(
    environment: Any, name: str, value: str | None
) -> None:
    environment(**{name: value})
    with pytest.raises(ValidationError) as raised:
        ShopSettings()
    assert raised.value.error_count() == 1
    assert name.removeprefix("SHOP_").lower() in str(raised.value).lower()
    assert "geheim" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_secrets_are_not_shown_by_a_print(environment: Any) -> None:
    environment()
    settings = ShopSettings()
    assert "geheim" not in repr(settings) + str(settings)
    assert repr(bytes(range(32))) not in repr(settings.internal_key)


def test_settings_do_not_change(environment: Any) -> None:
    environment()
    with pytest.raises(ValidationError):
        ShopSettings().pool_size = 3  # type: ignore[misc]


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_read_as_it_was_written(raw: bytes) -> None:
    written = encode_key(raw)
    assert decode_key(written) == decode_key(raw) == decode_key(written + "=") == raw
    assert len(written) == 43
    assert not set(written) & set("+/=")


@given(st.text() | st.binary())
def test_any_key_is_32_bytes_or_refused(given_key: str | bytes) -> None:
    try:
        read = decode_key(given_key)
    except ValueError:
        return
    assert len(read) == 32


@given(st.binary(max_size=64).filter(lambda raw: len(raw) != 32))
def test_a_key_of_another_length_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        decode_key(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_usual_spellings_of_an_address_are_taken(scheme: str) -> None:
    assert async_url(f"{scheme}://a@b/c") == "postgresql+asyncpg://a@b/c"


@pytest.mark.parametrize("url", ["", "sqlite://", "POSTGRES://a", "postgresql+psycopg://a", "//a"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        async_url(url)
