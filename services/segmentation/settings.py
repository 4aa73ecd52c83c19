"""Segmentation's own settings, beside those of every service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class SegmentationSettings(ServiceSettings):
    """Read from the environment under the prefix SEGMENTATION_."""

    model_config = SettingsConfigDict(env_prefix="SEGMENTATION_")

    #: Where loyalty answers, whose members and orders are scored here.
    loyalty_url: str = Field(validation_alias="LOYALTY_URL")
    #: How long no imported order may have come before those that came are scored.
    import_quiet_s: int = Field(10, ge=1, le=3600)
