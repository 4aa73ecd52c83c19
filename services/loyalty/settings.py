"""Loyalty's own settings, beside those of every service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import SecretKey, ServiceSettings


class LoyaltySettings(ServiceSettings):
    """Read from the environment under the prefix LOYALTY_."""

    model_config = SettingsConfigDict(env_prefix="LOYALTY_")

    #: Where referral answers, whose rewards become vouchers here.
    referral_url: str = Field(validation_alias="REFERRAL_URL")
    #: Under which identities are hashed, to be found again.
    identity_hash_key: SecretKey = Field(validation_alias="IDENTITY_HASH_KEY")
    #: Under which identities are encrypted, to be shown to their owner.
    identity_encryption_key: SecretKey = Field(validation_alias="IDENTITY_ENCRYPTION_KEY")
    #: Seconds between checkpoints of the ledger, and between reconciliations of it.
    checkpoint_every_s: int = Field(3_600, ge=1)
    reconcile_every_s: int = Field(86_400, ge=60)
