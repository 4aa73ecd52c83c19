"""Checkout: what a basket costs with vouchers and points, and why a voucher does not count.

Pure: the same basket, wallet and rules always give the same quote. A discount never exceeds the
lines that its voucher is for, so what is payable is never negative.
"""

from collections.abc import Sequence
from typing import Final

from services.loyalty.domain.baskets import (
    Basket,
    Choice,
    Combination,
    OwnedVoucher,
    Quote,
    VoucherVerdict,
)
from services.loyalty.domain.programme import CheckoutRules
from services.loyalty.domain.vouchers import state_at
from shared.kernel.errors import Refusal
from shared.kernel.money import FEN_PER_YUAN, yuan_text

_PERCENT: Final = 100


class VoucherNotUsable(Refusal):
    """A chosen voucher does not count on this basket; `reason` is the code that a quote gives."""

    code = "voucher_not_usable"


class PointsNotUsable(Refusal):
    """So many points cannot be used on this basket."""

    code = "points_not_usable"


class ReservationUnknown(Refusal):
    """This member has no reservation of that id."""

    code = "reservation_unknown"


class ReservationClosed(Refusal):
    """The reservation was released, has expired, or another order captured it."""

    code = "reservation_closed"


def quote(
    basket: Basket,
    *,
    wallet: Sequence[OwnedVoucher],
    available: int,
    rules: CheckoutRules,
    choice: Choice,
) -> Quote:
    """Price a basket. Raises VoucherNotUsable and PointsNotUsable for what was chosen amiss."""
    verdicts = tuple(judge(voucher, basket) for voucher in wallet)
    chosen = combine(basket, _chosen(wallet, verdicts, choice))
    left_fen = basket.total_fen - chosen.discount_fen
    max_points = usable_points(left_fen, available=available, rules=rules)
    _refuse_points(choice.points, max_points=max_points, rules=rules)
    value_fen = points_value(choice.points, rules=rules)
    return Quote(
        chosen=chosen,
        points=choice.points,
        points_value_fen=value_fen,
        payable_fen=left_fen - value_fen,
        max_points=max_points,
        verdicts=verdicts,
        best=best_combination(basket, wallet, verdicts),
    )


def judge(voucher: OwnedVoucher, basket: Basket) -> VoucherVerdict:
    """Whether one voucher counts on the basket, and every reason against it."""
    eligible = sum(line.amount_fen for line in basket.lines if voucher.covers(line))
    state = state_at(voucher.state, expires_at=voucher.period.expires_at, now=basket.now)
    gap_fen = voucher.worth.gap_fen(order_fen=eligible)
    found = {
        f"voucher_{state}": state != "issued",
        "voucher_not_yet_valid": basket.now < voucher.period.valid_from,
        "voucher_for_new_customers": voucher.worth.kind == "new_customer" and basket.has_ordered,
        "voucher_for_other_goods": eligible == 0,
        "voucher_below_threshold": eligible > 0 and gap_fen > 0,
    }
    reasons = tuple(reason for reason, holds in found.items() if holds)
    discount = 0 if reasons else voucher.worth.discount_fen(order_fen=eligible)
    missing = gap_fen if "voucher_below_threshold" in reasons else 0
    return VoucherVerdict(id=voucher.id, discount_fen=discount, reasons=reasons, gap_fen=missing)


def combine(basket: Basket, vouchers: Sequence[OwnedVoucher]) -> Combination:
    """What vouchers take off together: each from what the ones before it left of its lines."""
    left = [line.amount_fen for line in basket.lines]
    discounts = []
    for voucher in vouchers:
        places = [i for i, line in enumerate(basket.lines) if voucher.covers(line)]
        eligible = sum(basket.lines[i].amount_fen for i in places)
        due = wanted = voucher.worth.discount_fen(order_fen=eligible)
        for i in places:
            part = min(left[i], due)
            left[i] -= part
            due -= part
        discounts.append((voucher.id, wanted - due))
    return Combination(discounts=tuple(discounts))


def best_combination(
    basket: Basket, wallet: Sequence[OwnedVoucher], verdicts: Sequence[VoucherVerdict]
) -> Combination:
    """The larger of the best voucher alone and all that may be used together."""
    usable = [one for one, verdict in zip(wallet, verdicts, strict=True) if verdict.usable]
    alone = [combine(basket, [voucher]) for voucher in usable]
    # The narrow ones first: they can only take from few lines, the wide ones from any.
    together = sorted(
        (one for one in usable if one.stackable),
        key=lambda one: sum(one.covers(line) for line in basket.lines),
    )
    return max(
        [Combination(), *alone, combine(basket, together)],
        key=lambda one: (one.discount_fen, -len(one.voucher_ids)),
    )


def usable_points(payable_fen: int, *, available: int, rules: CheckoutRules) -> int:
    """The most points that this amount takes: by share, by wallet; none below the least."""
    least = least_points(rules)
    by_share = payable_fen * rules.max_share_percent // _PERCENT
    most = min(available, by_share * rules.points_per_yuan // FEN_PER_YUAN)
    return most if most >= least else 0


def least_points(rules: CheckoutRules) -> int:
    """The fewest points that may be used: as the rules say, and worth a whole fen at least."""
    return max(rules.least_points, -(-rules.points_per_yuan // FEN_PER_YUAN))


def points_value(points: int, *, rules: CheckoutRules) -> int:
    """What points are worth, in fen, rounded down."""
    return points * FEN_PER_YUAN // rules.points_per_yuan


def _chosen(
    wallet: Sequence[OwnedVoucher], verdicts: Sequence[VoucherVerdict], choice: Choice
) -> list[OwnedVoucher]:
    owned = {voucher.id: voucher for voucher in wallet}
    judged = {verdict.id: verdict for verdict in verdicts}
    for voucher_id in choice.voucher_ids:
        if voucher_id not in owned:
            raise VoucherNotUsable(id=voucher_id, reason="voucher_unknown", gap_yuan="0")
        verdict = judged[voucher_id]
        if not verdict.usable:
            raise VoucherNotUsable(
                id=voucher_id, reason=verdict.reasons[0], gap_yuan=yuan_text(verdict.gap_fen)
            )
    chosen = [owned[voucher_id] for voucher_id in choice.voucher_ids]
    if len(chosen) > 1 and not all(voucher.stackable for voucher in chosen):
        alone = next(voucher for voucher in chosen if not voucher.stackable)
        raise VoucherNotUsable(id=alone.id, reason="voucher_exclusive", gap_yuan="0")
    return chosen


def _refuse_points(points: int, *, max_points: int, rules: CheckoutRules) -> None:
    least = least_points(rules)
    if points and not least <= points <= max_points:
        raise PointsNotUsable(asked=points, least=least, most=max_points)
