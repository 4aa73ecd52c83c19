"""Checkout, for any basket and any wallet: nothing is ever worth more than it can be."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.baskets import Basket, BasketLine, Choice, OwnedVoucher
from services.loyalty.domain.checkout import combine, judge, quote, usable_points
from services.loyalty.domain.programme import CheckoutRules
from services.loyalty.domain.vouchers import Period, Worth

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
VALID = Period(valid_from=NOW - timedelta(days=1), expires_at=NOW + timedelta(days=1))
CATEGORIES = ["tea", "cups", "cake"]

lines = st.builds(
    BasketLine,
    sku=st.sampled_from(["a", "b", "c", "d"]),
    category=st.sampled_from([*CATEGORIES, None]),
    quantity=st.integers(1, 9),
    amount_fen=st.integers(0, 50_000),
)
scopes = st.one_of(
    st.just({"all": True}),
    st.builds(lambda names: {"categories": names}, st.lists(st.sampled_from(CATEGORIES))),
    st.builds(lambda names: {"skus": names}, st.lists(st.sampled_from(["a", "b", "c"]))),
)
worths = st.one_of(
    st.builds(
        Worth,
        kind=st.just("amount_off"),
        amount_fen=st.integers(1, 60_000),
        threshold_fen=st.integers(0, 60_000),
    ),
    st.builds(
        Worth,
        kind=st.just("percent_off"),
        percent_off=st.integers(1, 99),
        cap_fen=st.one_of(st.none(), st.integers(1, 20_000)),
        threshold_fen=st.integers(0, 60_000),
    ),
)
rules = st.builds(
    CheckoutRules,
    points_per_yuan=st.integers(1, 1_000),
    max_share_percent=st.integers(0, 100),
    least_points=st.integers(1, 500),
    reservation_minutes=st.just(15),
)
baskets = st.builds(
    lambda found: Basket(lines=tuple(found), has_ordered=False, now=NOW),
    st.lists(lines, min_size=1, max_size=6),
)


@st.composite
def wallets(draw: st.DrawFn) -> list[OwnedVoucher]:
    count = draw(st.integers(0, 5))
    return [
        OwnedVoucher(
            id=f"vch_{place}",
            state="issued",
            worth=draw(worths),
            period=VALID,
            scope=draw(scopes),
            stackable=draw(st.booleans()),
        )
        for place in range(count)
    ]


@given(baskets, wallets())
def test_vouchers_together_never_take_more_than_the_lines_they_are_for(
    basket: Basket, wallet: list[OwnedVoucher]
) -> None:
    together = combine(basket, wallet)
    covered = [line for line in basket.lines if any(one.covers(line) for one in wallet)]
    assert 0 <= together.discount_fen <= sum(line.amount_fen for line in covered)
    alone = [combine(basket, [voucher]).discount_fen for voucher in wallet]
    assert all(part <= own for (_, part), own in zip(together.discounts, alone, strict=True))


@given(baskets, wallets(), rules, st.integers(0, 100_000))
def test_what_is_payable_is_never_negative_and_the_best_is_no_worse_than_any_alone(
    basket: Basket, wallet: list[OwnedVoucher], rules: CheckoutRules, available: int
) -> None:
    bare = quote(basket, wallet=wallet, available=available, rules=rules, choice=Choice())
    assert bare.payable_fen == basket.total_fen
    usable = [one.discount_fen for one in bare.verdicts if one.usable]
    assert bare.best.discount_fen >= max(usable, default=0)
    best = quote(
        basket,
        wallet=wallet,
        available=available,
        rules=rules,
        choice=Choice(voucher_ids=bare.best.voucher_ids),
    )
    assert best.payable_fen == basket.total_fen - bare.best.discount_fen >= 0
    most = quote(
        basket,
        wallet=wallet,
        available=available,
        rules=rules,
        choice=Choice(voucher_ids=bare.best.voucher_ids, points=best.max_points),
    )
    assert 0 <= most.payable_fen <= best.payable_fen


@given(st.integers(0, 10**9), st.integers(0, 10**9), rules)
def test_points_pay_no_more_than_their_share_and_no_more_than_there_are(
    payable_fen: int, available: int, rules: CheckoutRules
) -> None:
    most = usable_points(payable_fen, available=available, rules=rules)
    assert most == 0 or rules.least_points <= most <= available
    assert most * 100 * 100 <= payable_fen * rules.max_share_percent * rules.points_per_yuan


@given(baskets, wallets())
def test_what_is_missing_is_exactly_what_makes_a_voucher_count(
    basket: Basket, wallet: list[OwnedVoucher]
) -> None:
    for voucher in wallet:
        verdict = judge(voucher, basket)
        if verdict.reasons != ("voucher_below_threshold",):
            continue
        line = next(line for line in basket.lines if voucher.covers(line))
        assert not judge(voucher, with_more(basket, line, verdict.gap_fen - 1)).usable
        assert judge(voucher, with_more(basket, line, verdict.gap_fen)).usable


def with_more(basket: Basket, line: BasketLine, more_fen: int) -> Basket:
    added = BasketLine(
        sku=line.sku, category=line.category, quantity=1, amount_fen=max(0, more_fen)
    )
    return Basket(lines=(*basket.lines, added), has_ordered=False, now=basket.now)
