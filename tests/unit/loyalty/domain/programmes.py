"""The default programme, as tests use it."""

import json
from typing import Any

from services.loyalty.domain.programme import Programme, read_programme

RULES: dict[str, Any] = {
    "points": {
        "per_yuan": 1,
        "hold_days": 7,
        "expiry": {"policy": "rolling", "months": 12},
        "redeem": {"points_per_yuan": 100},
    },
    "growth": {"per_yuan": 1, "window_months": 12},
    "tier_period_months": 12,
    "tiers": [
        {"code": code, "name": {"zh-CN": code, "en": code}, "growth": growth,
         "multiplier_percent": multiplier, "entitlements": []}
        for code, growth, multiplier in (
            ("regular", 0, 100), ("silver", 1000, 120), ("gold", 5000, 150),
            ("diamond", 20_000, 200),
        )
    ],
}  # fmt: skip


def programme(**changes: Any) -> Programme:
    """The default programme with some rules changed."""
    return read_programme(1, json.dumps({**RULES, **changes}))
