"""Every table of this service.

Facts (`order_facts`, `refund_facts`, `members`) are the truth; `member_rfm` is where each member
stands by them, and can be made again from them at any time.
"""

from services.segmentation.store.tables.base import metadata
from services.segmentation.store.tables.facts import Member, OrderFact, RefundFact
from services.segmentation.store.tables.runs import SegmentRun, SegmentSize
from services.segmentation.store.tables.standings import MemberRfm, SegmentSnapshot, ThresholdSet
from shared.tables import add_technical_tables

add_technical_tables(metadata)

#: The same tables for statements past the ORM.
order_facts = metadata.tables["order_facts"]
refund_facts = metadata.tables["refund_facts"]
members = metadata.tables["members"]
member_rfm = metadata.tables["member_rfm"]
segment_snapshots = metadata.tables["segment_snapshots"]
threshold_sets = metadata.tables["threshold_sets"]
segment_runs = metadata.tables["segment_runs"]
segment_sizes = metadata.tables["segment_sizes"]

__all__ = [
    "Member",
    "MemberRfm",
    "OrderFact",
    "RefundFact",
    "SegmentRun",
    "SegmentSize",
    "SegmentSnapshot",
    "ThresholdSet",
    "member_rfm",
    "members",
    "metadata",
    "order_facts",
    "refund_facts",
    "segment_runs",
    "segment_sizes",
    "segment_snapshots",
    "threshold_sets",
]
