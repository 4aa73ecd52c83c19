"""Laws of measures and of the way from measures to segments."""

from datetime import date, timedelta
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from services.segmentation.domain.rfm import Measures, OrderFact, RefundFact, State, measure
from services.segmentation.domain.scoring import Scores
from services.segmentation.domain.segments import (
    Context,
    Group,
    HighBars,
    Segment,
    Segment11,
    classify,
)

TODAY = date(2026, 11, 23)
DAYS = st.integers(-5, 800).map(lambda ago: TODAY - timedelta(days=ago))


@st.composite
def order_facts(draw: st.DrawFn) -> list[OrderFact]:
    """Up to eight orders of one member, some refunded in part or in full, some cancelled."""
    facts = []
    for number in range(draw(st.integers(0, 8))):
        paid_fen = draw(st.integers(0, 50_000))
        first_fen = draw(st.integers(0, paid_fen))
        second_fen = draw(st.sampled_from([0, paid_fen - first_fen]))
        refunds = (RefundFact(draw(DAYS), first_fen), RefundFact(draw(DAYS), second_fen))
        cancelled_day = draw(st.none() | DAYS)
        facts.append(OrderFact(f"A{number}", draw(DAYS), paid_fen, refunds, cancelled_day))
    return facts


@given(orders=order_facts(), as_of=DAYS, data=st.data())
def test_the_order_in_which_facts_arrive_changes_nothing(
    orders: list[OrderFact], as_of: date, data: st.DataObject
) -> None:
    shuffled = [
        OrderFact(o.order_id, o.paid_day, o.paid_fen, o.refunds[::-1], o.cancelled_day)
        for o in data.draw(st.permutations(orders))
    ]
    assert measure(orders=shuffled, as_of=as_of) == measure(orders=orders, as_of=as_of)


@given(orders=order_facts(), as_of=DAYS)
def test_the_past_does_not_know_the_facts_of_later_days(
    orders: list[OrderFact], as_of: date
) -> None:
    known = [
        OrderFact(
            o.order_id,
            o.paid_day,
            o.paid_fen,
            tuple(refund for refund in o.refunds if refund.day <= as_of),
            o.cancelled_day if o.cancelled_day and o.cancelled_day <= as_of else None,
        )
        for o in orders
        if o.paid_day <= as_of
    ]
    assert measure(orders=known, as_of=as_of) == measure(orders=orders, as_of=as_of)


@given(orders=order_facts(), as_of=DAYS)
def test_an_order_that_was_given_back_in_full_leaves_no_trace(
    orders: list[OrderFact], as_of: date
) -> None:
    returned = OrderFact("B1", as_of, 9_900, (RefundFact(as_of, 4_900), RefundFact(as_of, 5_000)))
    assert measure(orders=[*orders, returned], as_of=as_of) == measure(orders=orders, as_of=as_of)


@given(orders=order_facts(), as_of=DAYS, window_days=st.integers(30, 1095))
def test_measures_agree_with_their_state(
    orders: list[OrderFact], as_of: date, window_days: int
) -> None:
    found = measure(orders=orders, as_of=as_of, window_days=window_days)
    days = measure(orders=orders, as_of=as_of, window_days=window_days, count_days=True)
    in_window = found.recency_days is not None and found.recency_days < window_days
    assert (found.state is State.active) == in_window == (found.monetary_fen > 0)
    assert found.frequency <= found.monetary_fen  # each valid order keeps one fen at least
    assert days.frequency <= found.frequency
    assert (days.recency_days, days.monetary_fen) == (found.recency_days, found.monetary_fen)


@given(
    count=st.integers(1, 10**6),
    means=st.tuples(*[st.floats(1, 5)] * 3),
    recency_days=st.integers(0, 1094),
    sleep_days=st.integers(1, 400),
)
def test_every_score_has_one_segment_of_each_scheme_and_sleepers_one_group(
    count: int, means: tuple[float, float, float], recency_days: int, sleep_days: int
) -> None:
    bars = HighBars(count, *(int(mean * count) for mean in means))
    context = Context(bars=bars, sleep_days=sleep_days)
    measures = Measures(recency_days=recency_days, frequency=1, monetary_fen=9_900)
    for r, f, m in product(range(1, 6), repeat=3):
        found = classify(scores=Scores(r=r, f=f, m=m), measures=measures, context=context)
        assert found.segment not in {Segment.prospect, Segment.lapsed}
        assert found.segment_11 not in {Segment11.prospect, Segment11.lapsed}
        assert (found.group is Group.sleeping) == (recency_days >= sleep_days)
