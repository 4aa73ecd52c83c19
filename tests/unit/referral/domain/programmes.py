"""The default programme, and variations of it."""

from dataclasses import replace
from typing import Any

from services.referral.domain.programme import (
    Programme,
    Stage,
    StageReward,
    Trigger,
    VoucherTerms,
)


def programme(*, trigger: Trigger = "first_order_paid", **different: Any) -> Programme:
    """20 CNY for both at enrolment, 50 CNY for the referrer after the first order."""
    default = Programme(
        stages=(
            Stage(
                name="enrolled",
                trigger="enrolled",
                rewards=(
                    StageReward(role="referrer", amount_fen=2_000),
                    StageReward(role="referee", amount_fen=2_000),
                ),
            ),
            Stage(
                name="first_order",
                trigger=trigger,
                rewards=(StageReward(role="referrer", amount_fen=5_000),),
            ),
        ),
        voucher=VoucherTerms(threshold_fen=0, validity_days=90),
    )
    return replace(default, **different)
