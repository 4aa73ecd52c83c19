"""Where a member stands, and what counts as a move."""

from datetime import UTC, date, datetime

from services.segmentation.domain.facts import PaidOrder, Refund
from services.segmentation.domain.rfm import PROSPECT, Measures
from services.segmentation.domain.scoring import Method, Reason, Scores
from services.segmentation.domain.segments import Classification, Group, Segment, Segment11
from services.segmentation.domain.sizes import Scheme
from services.segmentation.domain.standings import Move, first_threshold_set, moves, stand

TODAY = date(2026, 11, 23)
FIRST = first_threshold_set(id="ths_first", as_of=TODAY)
NEW = Classification(Segment.general_develop, Segment11.new, Group.potential)
ASLEEP = Classification(Segment.general_develop, Segment11.new, Group.sleeping)
REST = Classification(Segment.general_rescue, Segment11.about_to_sleep, None)


def test_the_first_thresholds_are_fixed_for_a_mean_order_of_200_yuan() -> None:
    thresholds = FIRST.thresholds
    assert (thresholds.method, thresholds.reason) == (Method.fixed, Reason.small_population)
    assert thresholds.monetary_cuts_fen == (9_999, 19_999, 39_999, 79_999)


def test_the_first_buyer_stands_among_the_new_and_not_among_the_lost() -> None:
    standing = stand(measures=Measures(0, 1, 8_800), by=FIRST)
    assert standing.scores == Scores(r=5, f=1, m=1)
    assert standing.classification == Classification(
        Segment.general_develop, Segment11.new, Group.potential
    )


def test_a_member_without_orders_stands_without_scores() -> None:
    standing = stand(measures=PROSPECT, by=FIRST)
    assert standing.scores is None
    assert standing.classification == Classification(Segment.prospect, Segment11.prospect, None)


def test_staying_is_no_move() -> None:
    assert moves(before=NEW, after=NEW) == []


def test_a_move_is_told_for_each_scheme_in_which_it_happened() -> None:
    assert moves(before=NEW, after=ASLEEP) == [
        Move(scheme=Scheme.group, left="potential", entered="sleeping")
    ]
    assert moves(before=ASLEEP, after=REST) == [
        Move(scheme=Scheme.segment, left="general_develop", entered="general_rescue"),
        Move(scheme=Scheme.segment_11, left="new", entered="about_to_sleep"),
        Move(scheme=Scheme.group, left="sleeping", entered=None),
    ]
    assert moves(before=REST, after=ASLEEP)[-1] == Move(
        scheme=Scheme.group, left=None, entered="sleeping"
    )


def test_the_business_day_of_a_fact_is_that_of_shanghai() -> None:
    late = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
    order = PaidOrder(order_id="SO-1", member_id="mem_1", paid_fen=8_800, paid_at=late)
    refund = Refund(
        refund_id="RF-1", order_id="SO-1", member_id="mem_1", amount_fen=1, refunded_at=late
    )
    assert order.paid_day == refund.refunded_day == TODAY
