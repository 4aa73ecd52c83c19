"""What a voucher takes off, and when it can be used."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.vouchers import (
    Period,
    Standing,
    Validity,
    VoucherAlreadyRedeemed,
    VoucherBelowThreshold,
    VoucherExpired,
    VoucherFrozen,
    VoucherHeld,
    VoucherNotYetValid,
    VoucherState,
    VoucherVoided,
    Worth,
    is_repeated,
    redeemed_discount_fen,
    state_at,
)
from shared.kernel.errors import Refusal

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
FIFTY_OFF_199 = Worth(kind="amount_off", amount_fen=5000, threshold_fen=19900)
VALID = Standing(
    state="issued",
    worth=FIFTY_OFF_199,
    period=Period(valid_from=NOON, expires_at=NOON + timedelta(days=1)),
)


def test_full_199_minus_50_takes_50_yuan_off_from_199_yuan_on() -> None:
    assert redeemed_discount_fen(VALID, order_fen=19900, now=NOON) == 5000


def test_one_fen_below_the_threshold_is_refused_with_the_gap() -> None:
    with pytest.raises(VoucherBelowThreshold) as refused:
        redeemed_discount_fen(VALID, order_fen=18700, now=NOON)
    assert refused.value.facts == {"gap_fen": 1200, "gap_yuan": "12"}

    with pytest.raises(VoucherBelowThreshold):
        redeemed_discount_fen(VALID, order_fen=19899, now=NOON)


def test_a_discount_never_exceeds_the_order() -> None:
    free = Worth(kind="amount_off", amount_fen=2000)

    assert free.discount_fen(order_fen=1500) == 1500
    assert free.discount_fen(order_fen=0) == 0


def test_15_percent_off_is_rounded_down_to_the_fen_and_capped() -> None:
    worth = Worth(kind="percent_off", percent_off=15, cap_fen=3000)

    assert worth.discount_fen(order_fen=9999) == 1499
    assert worth.discount_fen(order_fen=20_000) == 3000
    assert worth.discount_fen(order_fen=1_000_000) == 3000


def test_a_gift_takes_nothing_off() -> None:
    assert Worth(kind="gift").discount_fen(order_fen=10_000) == 0


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        ("held", VoucherHeld),
        ("redeemed", VoucherAlreadyRedeemed),
        ("expired", VoucherExpired),
        ("voided", VoucherVoided),
        ("frozen", VoucherFrozen),
    ],
)
def test_only_an_issued_voucher_can_be_used(state: VoucherState, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        redeemed_discount_fen(replace(VALID, state=state), order_fen=19900, now=NOON)


def test_a_voucher_counts_from_its_first_moment_up_to_its_end() -> None:
    last = VALID.period.expires_at - timedelta(microseconds=1)

    assert redeemed_discount_fen(VALID, order_fen=19900, now=last) == 5000
    with pytest.raises(VoucherNotYetValid):
        redeemed_discount_fen(VALID, order_fen=19900, now=NOON - timedelta(microseconds=1))
    with pytest.raises(VoucherExpired):
        redeemed_discount_fen(VALID, order_fen=19900, now=VALID.period.expires_at)


def test_an_unused_voucher_past_its_end_reads_as_expired_and_a_used_one_stays_used() -> None:
    end = VALID.period.expires_at

    assert state_at("issued", expires_at=end, now=end) == "expired"
    assert state_at("issued", expires_at=end, now=end - timedelta(microseconds=1)) == "issued"
    assert state_at("redeemed", expires_at=end, now=end) == "redeemed"
    assert state_at("frozen", expires_at=end, now=end) == "frozen"


def test_the_same_order_again_is_a_repetition_and_another_amount_is_refused() -> None:
    used = replace(VALID, state="redeemed", order_id="SO-1", order_fen=19900)

    assert is_repeated(used, order_id="SO-1", order_fen=19900)
    assert not is_repeated(used, order_id="SO-2", order_fen=19900)
    assert not is_repeated(VALID, order_id="SO-1", order_fen=19900)
    with pytest.raises(AlreadyRecordedDifferently):
        is_repeated(used, order_id="SO-1", order_fen=20000)


def test_thirty_days_end_with_the_thirtieth_day_after_issue_in_shanghai() -> None:
    late = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)  # 23:59:59 in Shanghai
    just_after = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)  # the 24th has begun

    assert Validity(days=30).period(issued_at=late).expires_at == datetime(
        2026, 12, 23, 16, 0, tzinfo=UTC
    )
    assert Validity(days=30).period(issued_at=just_after).expires_at == datetime(
        2026, 12, 24, 16, 0, tzinfo=UTC
    )


def test_fixed_dates_hold_whenever_a_voucher_is_issued() -> None:
    begins, ends = NOON + timedelta(days=1), NOON + timedelta(days=8)

    fixed = Validity(valid_from=begins, valid_until=ends)

    assert fixed.period(issued_at=NOON) == Period(valid_from=begins, expires_at=ends)
    assert Validity(valid_until=ends).period(issued_at=NOON).valid_from == NOON
