"""What the environment tells the runner. It alone reads the environment of `make run`."""

import os
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
Mode = Literal["live", "sandbox"]


class RunSettings(BaseSettings):
    """The settings of `make run`, `make first-key` and their kin."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    mode: Mode = Field("live", validation_alias="HUITOU_MODE")
    #: Where data and logs are kept; `.data` or `.data-sandbox` of the checkout if not given.
    data: Path | None = Field(None, validation_alias="HUITOU_DATA")
    host: str = Field("127.0.0.1", validation_alias="HOST", min_length=1)
    #: The gateway's port; 0 takes any free one.
    port: int = Field(8000, validation_alias="PORT", ge=0, le=65535)
    gateway_database_url: str | None = Field(None, validation_alias="GATEWAY_DATABASE_URL")
    loyalty_database_url: str | None = Field(None, validation_alias="LOYALTY_DATABASE_URL")
    referral_database_url: str | None = Field(None, validation_alias="REFERRAL_DATABASE_URL")
    segmentation_database_url: str | None = Field(
        None, validation_alias="SEGMENTATION_DATABASE_URL"
    )
    redis_url: str | None = Field(None, validation_alias="REDIS_URL")

    @property
    def data_directory(self) -> Path:
        """The absolute data directory; live and sandbox never share one by default."""
        default = CHECKOUT / (".data" if self.mode == "live" else ".data-sandbox")
        return (self.data or default).absolute()

    def given_database_url(self, name: str) -> str | None:
        """The address the user gave for a process's database, if any."""
        url: str | None = getattr(self, f"{name}_database_url")
        return url or None


def inherited_environment() -> dict[str, str]:
    """The environment we were started with; it is passed on, and what it sets wins."""
    return dict(os.environ)
