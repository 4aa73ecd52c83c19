"""Typed settings. The environment is read here and in each service's settings.py, nowhere else."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Mode = Literal["live", "sandbox"]
_KEY_BYTES = 32


def decode_key(given: object) -> bytes:
    """Read 32 bytes written as urlsafe base64 without padding. Raises ValueError otherwise."""
    if isinstance(given, bytes):
        raw = given
    else:
        try:
            padded = str(given) + "=" * (-len(str(given)) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except binascii.Error:
            raise ValueError("not urlsafe base64") from None
    if len(raw) != _KEY_BYTES:
        raise ValueError("must be 32 bytes in urlsafe base64 without padding")
    return raw


def encode_key(raw: bytes) -> str:
    """Write 32 bytes as `decode_key` reads them."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def async_url(given: str) -> str:
    """Accept the usual spellings of a PostgreSQL address; the driver here is asyncpg."""
    for spelling in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if given.startswith(spelling):
            return "postgresql+asyncpg://" + given.removeprefix(spelling)
    raise ValueError("must begin with postgresql://")


def _trusted_keys(given: object) -> object:
    """`gateway=KEY,loyalty=KEY` as a mapping from issuer to public key."""
    if not isinstance(given, str):
        return given
    pairs = [pair.partition("=") for pair in given.split(",") if pair]
    return {issuer: decode_key(key) for issuer, _, key in pairs}


SecretKey = Annotated[SecretBytes, BeforeValidator(decode_key)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(lambda url: SecretStr(_checked(url)))]
TrustedKeys = Annotated[dict[str, bytes], NoDecode, BeforeValidator(_trusted_keys)]


def _checked(url: SecretStr) -> str:
    return async_url(url.get_secret_value())


class ServiceSettings(BaseSettings):
    """What the environment tells every service; each adds its own under its own prefix."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        # A key or an address with a mistake in it is still a secret.
        hide_input_in_errors=True,
    )

    #: The service's own database.
    database_url: DatabaseUrl
    redis_url: str = Field(validation_alias="REDIS_URL")
    #: A sandbox is a deployment of its own, with its own databases and keys.
    mode: Mode = Field("live", validation_alias="HUITOU_MODE")
    #: This process's own Ed25519 seed, with which it signs its calls to neighbours.
    internal_key: SecretKey = Field(validation_alias="INTERNAL_KEY")
    #: Public keys of those whose calls are accepted, by issuer.
    internal_trusted_keys: TrustedKeys = Field(validation_alias="INTERNAL_TRUSTED_KEYS")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL"
    )
    #: Where traces go (OTLP over HTTP); none are made without it.
    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    #: Connections to PostgreSQL per process.
    pool_size: int = Field(10, ge=2, le=100)
    #: Whether this process runs the relay, the subscribers and the jobs; replicas may leave it out.
    background: bool = True
