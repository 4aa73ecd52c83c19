"""Referral's own settings, beside those of every service."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


def _with_a_place(template: str) -> str:
    if "{code}" not in template:
        raise ValueError("must hold {code} where the code goes")
    return template


class ReferralSettings(ServiceSettings):
    """Read from the environment under the prefix REFERRAL_."""

    model_config = SettingsConfigDict(env_prefix="REFERRAL_")

    #: Where loyalty answers, whose members and orders are heard here.
    loyalty_url: str = Field(validation_alias="LOYALTY_URL")
    #: The address that members share; `{code}` stands for their code.
    link_template: Annotated[str, AfterValidator(_with_a_place)] = (
        "https://shop.example.com/?referral_code={code}"
    )
