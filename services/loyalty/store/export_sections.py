"""The parts of an export: which rows of which table, which columns, and what is withheld and why.

Every table that belongs to a member stands here or in WITHHELD, with all its columns shown or named
as withheld; a test compares that with the tables there are, so that nothing new can be forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the document: the rows of one table that are the person's."""

    table: str
    #: What is shown, in the order of the document; what is not, and why nothing is missed.
    shown: str
    order: str
    withheld: Sequence[str] = ()
    whose: str = "member_id = any(:member_ids)"


SECTIONS: Final[Mapping[str, Section]] = {
    "profiles": Section(
        table="members",
        shown="id as member_id, state, merged_into, nickname, birthday, gender, city, tags,"
        " consents, phone_masked, previously_erased, import_id, created_at, updated_at",
        order="id",
        withheld=("id", "erased_at"),
        whose="id = any(:member_ids)",
    ),
    "identities": Section(
        table="identities",
        shown="member_id, kind, nullif(app_id, '') as app_id,"
        " encode(value_encrypted, 'hex') as value, created_at",
        order="created_at, id",
        withheld=("id", "app_id", "value_hash", "value_encrypted"),
    ),
    "accounts": Section(
        table="accounts",
        shown="member_id, available, pending, held, debt, growth, growth_since, tier_code,"
        " tier_floor, tier_since, tier_valid_until, entry_seq,"
        " encode(entry_hash, 'hex') as entry_hash",
        order="member_id",
        # How often the row was written says nothing about anybody.
        withheld=("entry_hash", "version"),
    ),
    "orders": Section(
        table="orders",
        shown="member_id, order_id, state, paid_fen, discount_fen, refunded_fen, items, channel,"
        " reservation_id, device_id, payer_hash, programme_version, multiplier_percent,"
        " earned_points, clawed_back_points, growth, tier_at_recording,"
        " refunded_at_recording_fen, import_id, paid_at, completed_at, came_completed,"
        " cancelled_at, came_cancelled, recorded_at",
        order="paid_at, order_id",
        withheld=("facts_hash",),
    ),
    "refunds": Section(
        table="refunds",
        shown="member_id, refund_id, order_id, amount_fen, items, items_match, applied_fen,"
        " refunded_total_fen, clawed_back_points, debt_points, returned_points, growth,"
        " refunded_at, recorded_at, applied_at",
        order="refunded_at, refund_id",
        withheld=("facts_hash",),
    ),
    "order_cancellations": Section(
        table="order_cancellations",
        shown="member_id, order_id, reason, applied_fen, clawed_back_points, debt_points,"
        " returned_points, growth, cancelled_at, recorded_at, applied_at",
        order="cancelled_at, order_id",
        withheld=("facts_hash",),
    ),
    "point_entries": Section(
        table="point_entries",
        shown="member_id, seq, kind, debit_account, credit_account, points, available_after,"
        " pending_after, held_after, debt_after, cause_kind, cause_id, reason,"
        " programme_version, occurred_at, recorded_at, actor,"
        " encode(previous_hash, 'hex') as previous_hash, encode(hash, 'hex') as hash",
        order="member_id, seq",
        withheld=("previous_hash", "hash"),
    ),
    "point_lots": Section(
        table="point_lots",
        shown="member_id, id, cause_kind, cause_id, state, points, remaining, available_at,"
        " expires_at, programme_version, moved_by, created_at",
        order="created_at, id, member_id",
    ),
    "lot_allocations": Section(
        table="lot_allocations",
        shown="member_id, entry_seq, lot_id, points",
        order="member_id, entry_seq, lot_id",
    ),
    "redemptions": Section(
        table="redemptions",
        shown="member_id, id, state, points, returned_points, purpose, reference,"
        " hold_expires_at, created_at, closed_at",
        order="created_at, id",
    ),
    "transfers": Section(
        table="transfers",
        shown="member_id, id, to_member_id, points, reason, created_by, created_at",
        order="created_at, id",
        whose="member_id = any(:member_ids) or to_member_id = any(:member_ids)",
    ),
    "adjustments": Section(
        table="adjustments",
        shown="member_id, id, points, reason, state, requested_by, created_at, decided_by,"
        " decision_reason, decided_at",
        order="created_at, id",
    ),
    "entry_reasons": Section(
        table="entry_reasons",
        shown="member_id, cause_kind, cause_id, reason",
        order="cause_kind, cause_id, member_id",
    ),
    "imported_movements": Section(
        table="imported_movements",
        shown="member_id, reference, kind, import_id, recorded_at",
        order="recorded_at, reference",
        withheld=("facts_hash",),
    ),
    "expiry_notices": Section(
        table="expiry_notices",
        shown="member_id, id, state, points, expires_at, deliver_by, announced_at, channel,"
        " delivered_at, receipt",
        order="announced_at, id",
    ),
    "expiry_notice_lots": Section(
        table="expiry_notice_lots",
        shown="member_id, notice_id, lot_id, expires_at, points",
        order="notice_id, lot_id",
    ),
    "expiry_notice_failures": Section(
        table="expiry_notice_failures",
        shown="member_id, notice_id, channel, reason, failed_at",
        order="failed_at, notice_id, channel",
    ),
    "expiry_extensions": Section(
        table="expiry_extensions",
        shown="member_id, id, lot_id, points, reason, note, previous_expires_at, expires_at,"
        " occurred_at, recorded_at, actor",
        order="recorded_at, id",
    ),
    "reservations": Section(
        table="reservations",
        shown="member_id, id, state, items, vouchers, points, redemption_id, basket_fen,"
        " discount_fen, points_value_fen, payable_fen, order_id, expires_at, created_at,"
        " closed_at",
        order="created_at, id",
    ),
    "growth_entries": Section(
        table="growth_entries",
        shown="member_id, cause_kind, cause_id, growth, programme_version, occurred_at",
        order="occurred_at, cause_kind, cause_id",
    ),
    "tier_changes": Section(
        table="tier_changes",
        shown="member_id, id, from_tier, to_tier, growth, cause_kind, cause_id, reason,"
        " occurred_at",
        order="occurred_at, id",
    ),
    "vouchers": Section(
        table="vouchers",
        shown="member_id, id, code, template_id, kind, amount_fen, percent_off, cap_fen,"
        " threshold_fen, state, source_kind, source_id, reservation_id, order_id, order_fen,"
        " discount_fen, reason, valid_from, expires_at, issued_at, redeemed_at, closed_at",
        order="issued_at, id",
    ),
    "rewards": Section(
        table="rewards",
        shown="member_id, reward_id, referral_id, state, voucher_id, outcome, reason,"
        " created_at, reversed_at",
        order="created_at, reward_id",
    ),
    "merges": Section(
        table="member_merges",
        shown="member_id, id, source_member_id, number, reason, available, pending, held, debt,"
        " repaid, orders_debt, member_standing, source_standing, filled, merged_by, merged_at,"
        " reversed_at, reversed_by, reversal_reason, returned_available, returned_pending,"
        " returned_held, returned_debt",
        order="merged_at, id",
        # One that was taken back is the source's no less than the target's, their profiles are not.
        whose="member_id = any(:member_ids) or source_member_id = any(:member_ids)",
    ),
}
#: Table → why it is not in the document.
WITHHELD: Final[Mapping[str, str]] = {
    "ledger_checkpoint_heads": "hashes of the entries, which are shown with theirs",
    "member_merge_moves": "which rows a merge moved: each is in its own section",
    "member_replies": "where copies of replies are kept that say what other sections say",
}
