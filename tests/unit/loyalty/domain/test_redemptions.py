"""What may become of a redemption, each once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.loyalty.domain.redemptions import (
    CaptureExceedsHold,
    HoldExpired,
    RedemptionClosed,
    RedemptionHeld,
    Standing,
    is_to_cancel,
    is_to_release,
    points_to_capture,
)

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
END = NOON + timedelta(minutes=15)


def standing(state: Any, *, returned: int = 0, closed_at: datetime | None = None) -> Standing:
    return Standing(
        id="rdm_1",
        state=state,
        points=100,
        returned_points=returned,
        hold_expires_at=END,
        closed_at=closed_at,
    )


@pytest.mark.parametrize(("asked", "captured"), [(None, 100), (100, 100), (1, 1)])
def test_a_hold_is_captured_in_whole_or_in_part(asked: int | None, captured: int) -> None:
    assert points_to_capture(standing("held"), asked=asked, now=NOON) == captured


def test_a_hold_is_captured_until_just_before_it_runs_out() -> None:
    last = END - timedelta(microseconds=1)
    assert points_to_capture(standing("held"), asked=None, now=last) == 100
    with pytest.raises(HoldExpired):
        points_to_capture(standing("held"), asked=None, now=END)
    with pytest.raises(HoldExpired):
        points_to_capture(standing("released", returned=100, closed_at=END), asked=None, now=END)


def test_a_hold_released_in_time_is_closed_rather_than_expired() -> None:
    released = standing("released", returned=100, closed_at=NOON)
    with pytest.raises(RedemptionClosed):
        points_to_capture(released, asked=None, now=END)


def test_what_was_captured_is_not_captured_again_even_late() -> None:
    captured = standing("redeemed", returned=40, closed_at=NOON)
    assert points_to_capture(captured, asked=60, now=END) == 0
    for other in (None, 40, 61):
        with pytest.raises(RedemptionClosed):
            points_to_capture(captured, asked=other, now=NOON)


def test_no_more_than_is_held_is_captured() -> None:
    with pytest.raises(CaptureExceedsHold) as refused:
        points_to_capture(standing("held"), asked=101, now=NOON)
    assert refused.value.facts == {"asked": 101, "held": 100}


def test_only_a_hold_is_released_and_only_what_is_spent_is_cancelled() -> None:
    assert is_to_release(standing("held"))
    assert not is_to_release(standing("released", returned=100))
    assert is_to_cancel(standing("redeemed"))
    assert not is_to_cancel(standing("cancelled", returned=100))
    for state in ("redeemed", "cancelled"):
        with pytest.raises(RedemptionClosed):
            is_to_release(standing(state))
    with pytest.raises(RedemptionHeld):
        is_to_cancel(standing("held"))
    with pytest.raises(RedemptionClosed):
        is_to_cancel(standing("released", returned=100))
