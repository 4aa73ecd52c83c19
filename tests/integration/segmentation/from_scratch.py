"""Random histories, and what the domain alone says of them: no SQL, no state, no order of facts."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.segmentation.domain.rfm import PROSPECT, Measures, OrderFact, RefundFact, measure
from services.segmentation.domain.scoring import Thresholds, population_thresholds, score
from services.segmentation.domain.segments import Context, high_bars, mean_bars
from services.segmentation.domain.sizes import Scheme, code_in
from services.segmentation.domain.standings import Standing, ThresholdSet, stand
from shared.contracts.envelope import EventData
from shared.contracts.loyalty import ImportedOrder, OrderPaid, OrderRefunded
from shared.kernel.clock import business_day
from tests.integration.segmentation.loyalty_feed import (
    TODAY,
    a_member,
    enrolled,
    imported,
    paid,
    past_order,
    refunded,
)


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened, and the events that tell of it."""

    since: Mapping[str, date]
    orders: Mapping[str, Sequence[OrderFact]]
    events: Sequence[EventData]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What everybody's segments are as of a day."""

    thresholds: Thresholds
    standings: Mapping[str, Standing]

    def sizes(self, scheme: Scheme) -> dict[str, tuple[int, int, int]]:
        """Members, orders and money of each part that has members."""
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for standing in self.standings.values():
            counted = found[code_in(scheme=scheme, classification=standing.classification)]
            counted[0] += 1
            counted[1] += standing.measures.frequency
            counted[2] += standing.measures.monetary_fen
        return {code: (counts[0], counts[1], counts[2]) for code, counts in found.items()}


def a_history(*, seed: int, members: int, days: int, imported_share: float = 0.8) -> History:
    """Members with none to nine orders over some days, some imported, some refunded."""
    dice = random.Random(seed)
    since: dict[str, date] = {}
    orders: dict[str, list[OrderFact]] = defaultdict(list)
    events: list[EventData] = []
    old: list[ImportedOrder] = []
    for _ in range(members):
        member_id = a_member()
        joined = TODAY - timedelta(days=dice.randint(0, days))
        events.append(enrolled(member_id, joined))
        since[member_id] = joined
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 5, 9))):
            day = TODAY - timedelta(days=int(days * dice.random() ** 2))
            since[member_id] = min(since[member_id], day)
            # Round amounts, so that there are ties; some free of charge.
            fen = dice.choice((0, 990, 9_900, 9_900, 19_900, dice.randint(1, 80_000)))
            if dice.random() < imported_share:
                order = past_order(
                    member_id, fen, day, refunded_fen=dice.choice((0, 0, fen // 2, fen))
                )
                old.append(order)
                orders[member_id].append(_imported_fact(order))
            else:
                happened = _live_order(dice, member_id, fen, day)
                events += happened
                orders[member_id].append(_live_fact(happened))
    events += [imported(old[start : start + 200]) for start in range(0, len(old), 200)]
    return History(since=since, orders=orders, events=events)


def expected(history: History, *, as_of: date) -> Expected:
    """Everybody's standing as of a day, by the domain's definitions."""
    measures = {
        member_id: measure(orders=history.orders.get(member_id, ()), as_of=as_of)
        for member_id, since in history.since.items()
        if since <= as_of
    }
    thresholds = population_thresholds(
        members=list(measures.values()), as_of=as_of, history_days=_history_days(history, as_of)
    )
    scores = [score(measures=one, thresholds=thresholds) for one in measures.values()]
    mean = mean_bars(scores=[one for one in scores if one is not None])
    by = ThresholdSet(id="", thresholds=thresholds, mean=mean)
    assert by.context == Context(bars=high_bars(method=thresholds.method, mean=mean))
    return Expected(
        thresholds=thresholds,
        standings={member_id: stand(measures=one, by=by) for member_id, one in measures.items()},
    )


def expected_measures(history: History, member_id: str, *, as_of: date) -> Measures:
    """One member's measures, whether or not it was a member by then."""
    orders = history.orders.get(member_id)
    return measure(orders=orders, as_of=as_of) if orders else PROSPECT


def _history_days(history: History, as_of: date) -> int:
    days = [
        order.paid_day
        for orders in history.orders.values()
        for order in orders
        if order.is_valid(as_of=as_of)
    ]
    return (as_of - min(days)).days if days else 0


def _live_order(
    dice: random.Random, member_id: str, fen: int, day: date
) -> list[OrderPaid | OrderRefunded]:
    """An order, and up to three refunds of it, some on days before it was paid for."""
    order = paid(member_id, fen, day)
    events: list[OrderPaid | OrderRefunded] = [order]
    left = fen
    for _ in range(dice.choice((0, 0, 0, 1, 2, 3))):
        part = dice.choice((left, dice.randint(0, left)))
        left -= part
        later = day + timedelta(days=dice.randint(-3, 60))
        events.append(refunded(order, part, min(later, TODAY)))
    return events


def _live_fact(events: Sequence[OrderPaid | OrderRefunded]) -> OrderFact:
    order, *_ = events
    assert isinstance(order, OrderPaid)
    refunds = [
        RefundFact(business_day(event.refunded_at), event.amount_fen)
        for event in events
        if isinstance(event, OrderRefunded)
    ]
    return OrderFact(order.order_id, business_day(order.paid_at), order.paid_fen, tuple(refunds))


def _imported_fact(order: ImportedOrder) -> OrderFact:
    day = business_day(order.paid_at)
    gone = RefundFact(day, order.refunded_fen)
    return OrderFact(order.order_id, day, order.paid_fen, (gone,))


def shuffled(events: Sequence[EventData], *, seed: int) -> list[EventData]:
    """The same facts in another order, a third of them twice, enrolments wherever they fall."""
    dice = random.Random(seed)
    again = [event for event in events if dice.random() < 0.33]
    mixed = [*events, *again]
    dice.shuffle(mixed)
    return mixed
