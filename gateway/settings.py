"""The gateway's own settings, beside those of every service."""

from collections.abc import Mapping

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import DatabaseUrl, Mode, ServiceSettings


class GatewaySettings(ServiceSettings):
    """Read from the environment under the prefix GATEWAY_."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    loyalty_url: str = Field(validation_alias="LOYALTY_URL")
    referral_url: str = Field(validation_alias="REFERRAL_URL")
    segmentation_url: str = Field(validation_alias="SEGMENTATION_URL")
    #: Requests served at once by one process; more are answered with 503 at once.
    concurrency: int = Field(512, ge=1, le=10_000)
    #: How long a service may take to answer, in seconds.
    deadline_s: float = Field(5.0, gt=0, le=60)

    @property
    def service_urls(self) -> Mapping[str, str]:
        """Where each service answers, by name."""
        return {
            "loyalty": self.loyalty_url,
            "referral": self.referral_url,
            "segmentation": self.segmentation_url,
        }


class FirstKeySettings(BaseSettings):
    """All that making a key from the command line needs."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", extra="ignore")

    database_url: DatabaseUrl
    mode: Mode = Field("live", validation_alias="HUITOU_MODE")
