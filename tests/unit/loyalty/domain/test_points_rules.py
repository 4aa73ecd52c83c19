"""What the programme says about holds, restoring, transfers and adjustments."""

from datetime import timedelta
from typing import Any

import pytest

from services.loyalty.domain.points_rules import PointsRules, TransferRules, read_points_rules
from services.loyalty.domain.programme import InvalidProgramme
from tests.unit.loyalty.domain.programmes import RULES, programme


def test_a_programme_that_says_nothing_has_the_defaults() -> None:
    rules = programme().points
    assert rules == PointsRules()
    assert (rules.hold_minutes, rules.restore_grace_days, rules.approval_above) == (15, 0, 10_000)
    assert rules.transfer == TransferRules(
        enabled=True, daily_limit=5_000, daily_count=10, least=1, cooling_hours=24
    )


def test_each_rule_is_read() -> None:
    rules = read_points_rules(
        {
            "redeem": {"hold_minutes": 10_080, "restore_grace_days": 30},
            "adjustment": {"approval_above": 0},
            "transfer": {
                "enabled": False, "daily_limit": 1, "daily_count": 2, "least": 3,
                "cooling_hours": 0,
            },
        }
    )  # fmt: skip
    assert (rules.hold_minutes, rules.restore_grace) == (10_080, timedelta(days=30))
    assert rules.approval_above == 0
    assert rules.transfer == TransferRules(
        enabled=False, daily_limit=1, daily_count=2, least=3, cooling_hours=0
    )


@pytest.mark.parametrize(
    "given",
    [
        {"redeem": {"points_per_yuan": 100, "hold_minutes": 0}},
        {"redeem": {"points_per_yuan": 100, "hold_minutes": 10_081}},
        {"redeem": {"points_per_yuan": 100, "restore_grace_days": -1}},
        {"adjustment": {"approval_above": -1}},
        {"adjustment": {"approval_above": "10000"}},
        {"adjustment": []},
        {"transfer": {"enabled": "yes"}},
        {"transfer": {"daily_limit": 0}},
        {"transfer": {"daily_count": True}},
        {"transfer": {"least": 0}},
        {"transfer": {"cooling_hours": 1.5}},
        {"transfer": None},
    ],
)
def test_rules_that_cannot_be_followed_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidProgramme):
        programme(points={**RULES["points"], **given})
