"""first tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.technical_tables import create_technical_tables, drop_technical_tables

revision: str = "9a038061c7c9"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

#: The programme that a new deployment begins with, ready to use.
_DEFAULT_RULES = """
{
  "points": {
    "per_yuan": 1,
    "hold_days": 7,
    "expiry": {"policy": "rolling", "months": 12},
    "redeem": {"points_per_yuan": 100, "max_share_percent": 50, "least_points": 100,
               "reservation_minutes": 15}
  },
  "growth": {"per_yuan": 1, "window_months": 12},
  "tier_period_months": 12,
  "tiers": [
    {"code": "regular", "name": {"zh-CN": "普通会员", "en": "Regular"}, "growth": 0,
     "multiplier_percent": 100, "entitlements": ["new_member_pack"]},
    {"code": "silver", "name": {"zh-CN": "银牌会员", "en": "Silver"}, "growth": 1000,
     "multiplier_percent": 120, "entitlements": ["birthday_gift", "free_shipping"]},
    {"code": "gold", "name": {"zh-CN": "金牌会员", "en": "Gold"}, "growth": 5000,
     "multiplier_percent": 150,
     "entitlements": ["birthday_gift", "free_shipping", "priority_dispatch"]},
    {"code": "diamond", "name": {"zh-CN": "钻石会员", "en": "Diamond"}, "growth": 20000,
     "multiplier_percent": 200,
     "entitlements": ["birthday_gift", "free_shipping", "priority_dispatch", "early_access",
                      "dedicated_service"]}
  ]
}
"""

_ACCOUNTS = (
    "('available', 'pending', 'held', 'debt', 'issued', 'redeemed', 'expired', 'clawed_back',"
    " 'adjusted', 'transferred', 'written_off')"
)

#: A voucher takes off an amount or a percentage, as its kind says; a gift is handed over.
_WORTH = (
    "case kind"
    " when 'gift' then amount_fen is null and percent_off is null"
    " when 'amount_off' then amount_fen is not null and percent_off is null"
    " when 'percent_off' then amount_fen is null and percent_off is not null"
    " else (amount_fen is null) <> (percent_off is null) end"
)
_AMOUNTS = "amount_fen > 0 and percent_off between 1 and 100 and cap_fen > 0 and threshold_fen >= 0"


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    create_technical_tables()
    op.create_table(
        "accounts",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("debt", sa.BigInteger(), nullable=False),
        sa.Column("growth", sa.BigInteger(), nullable=False),
        sa.Column("tier_code", sa.Text(), nullable=False),
        sa.Column("tier_floor", sa.Text(), nullable=False),
        sa.Column("tier_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tier_valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("entry_hash", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("available >= 0", name="available_not_negative"),
        sa.CheckConstraint("debt >= 0", name="debt_not_negative"),
        sa.CheckConstraint("growth >= 0", name="growth_not_negative"),
        sa.CheckConstraint("held >= 0", name="held_not_negative"),
        sa.CheckConstraint("pending >= 0", name="pending_not_negative"),
        sa.PrimaryKeyConstraint("member_id"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "growth_entries",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.Column("growth", sa.BigInteger(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("growth >= 0", name="growth_entry_not_negative"),
        sa.PrimaryKeyConstraint("member_id", "cause_kind", "cause_id"),
    )
    op.create_index(
        "growth_entries_by_time", "growth_entries", ["member_id", "occurred_at"], unique=False
    )
    op.create_table(
        "identities",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.LargeBinary(), nullable=False),
        sa.Column("value_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('external', 'phone', 'wechat_openid', 'wechat_unionid')", name="identity_kind"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "app_id", "value_hash", name="identity_of_one_member"),
    )
    op.create_index(op.f("ix_identities_member_id"), "identities", ["member_id"], unique=False)
    op.create_table(
        "members",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("nickname", sa.Text(), nullable=True),
        sa.Column("birthday", sa.Text(), nullable=True),
        sa.Column("gender", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("consents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("phone_masked", sa.Text(), nullable=True),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("import_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state in ('active', 'merged', 'erased')", name="member_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "order_import_refusals",
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("import_id", "line"),
    )
    op.create_table(
        "order_imports",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.Column("repeated", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.LargeBinary(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('receiving', 'done', 'failed')", name="order_import_state"),
        sa.CheckConstraint(
            "(state = 'receiving') = (finished_at is null)", name="order_import_finished"
        ),
        sa.CheckConstraint("(state = 'failed') = (error is not null)", name="order_import_error"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("actor", "key", name="order_import_of_one_key"),
    )
    op.create_index(
        "order_imports_open",
        "order_imports",
        ["touched_at"],
        unique=False,
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("discount_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("reservation_id", sa.Text(), nullable=True),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("payer_hash", sa.Text(), nullable=True),
        sa.Column("facts_hash", sa.LargeBinary(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("multiplier_percent", sa.Integer(), nullable=False),
        sa.Column("earned_points", sa.BigInteger(), nullable=False),
        sa.Column("clawed_back_points", sa.BigInteger(), nullable=False),
        sa.Column("growth", sa.BigInteger(), nullable=False),
        sa.Column("tier_at_recording", sa.Text(), nullable=True),
        sa.Column("refunded_at_recording_fen", sa.BigInteger(), nullable=True),
        sa.Column("import_id", sa.Text(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state in ('paid', 'completed', 'cancelled', 'refunded')", name="order_state"
        ),
        sa.CheckConstraint("paid_fen >= 0 and discount_fen >= 0", name="order_amounts"),
        sa.CheckConstraint("refunded_fen >= 0 and refunded_fen <= paid_fen", name="order_refunded"),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("orders_by_member", "orders", ["member_id", "paid_at"], unique=False)
    op.create_table(
        "point_entries",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("debit_account", sa.Text(), nullable=False),
        sa.Column("credit_account", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("available_after", sa.BigInteger(), nullable=False),
        sa.Column("pending_after", sa.BigInteger(), nullable=False),
        sa.Column("held_after", sa.BigInteger(), nullable=False),
        sa.Column("debt_after", sa.BigInteger(), nullable=False),
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            f"credit_account in {_ACCOUNTS}",
            name="entry_credit_account",
        ),
        sa.CheckConstraint(
            f"debit_account in {_ACCOUNTS}",
            name="entry_debit_account",
        ),
        sa.CheckConstraint("debit_account <> credit_account", name="entry_has_two_sides"),
        sa.CheckConstraint("points > 0", name="entry_moves_points"),
        sa.PrimaryKeyConstraint("member_id", "seq"),
    )
    op.create_index(
        "point_entries_by_cause", "point_entries", ["cause_kind", "cause_id"], unique=False
    )
    op.create_table(
        "point_lots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state in ('pending', 'available', 'closed')", name="lot_state"),
        sa.CheckConstraint("points > 0", name="lot_has_points"),
        sa.CheckConstraint("remaining >= 0 and remaining <= points", name="lot_remaining"),
        sa.PrimaryKeyConstraint("member_id", "id"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("point_lots_by_cause", "point_lots", ["cause_kind", "cause_id"], unique=False)
    op.create_index(
        "point_lots_expiring",
        "point_lots",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'available' and remaining > 0"),
    )
    op.create_index(
        "point_lots_maturing",
        "point_lots",
        ["available_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending' and available_at is not null"),
    )
    op.create_index(
        "point_lots_spendable",
        "point_lots",
        ["member_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'available' and remaining > 0"),
    )
    op.create_table(
        "programme_versions",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "redemptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('held', 'redeemed', 'released', 'cancelled')", name="redemption_state"
        ),
        sa.CheckConstraint("points > 0", name="redemption_has_points"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "redemptions_by_member", "redemptions", ["member_id", "created_at"], unique=False
    )
    op.create_index(
        "redemptions_stale",
        "redemptions",
        ["hold_expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "refunds",
        sa.Column("refund_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("facts_hash", sa.LargeBinary(), nullable=False),
        sa.Column("applied_fen", sa.BigInteger(), nullable=True),
        sa.Column("refunded_total_fen", sa.BigInteger(), nullable=True),
        sa.Column("clawed_back_points", sa.BigInteger(), nullable=True),
        sa.Column("debt_points", sa.BigInteger(), nullable=True),
        sa.Column("growth", sa.BigInteger(), nullable=True),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_fen > 0", name="refund_amount"),
        sa.PrimaryKeyConstraint("refund_id"),
    )
    op.create_index("refunds_by_order", "refunds", ["order_id"], unique=False)
    op.create_table(
        "rewards",
        sa.Column("reward_id", sa.Text(), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("voucher_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('issued', 'refused', 'reversed')", name="reward_state"),
        sa.CheckConstraint(
            "outcome in ('voided', 'written_off', 'never_issued')", name="reward_outcome"
        ),
        sa.CheckConstraint(
            "state <> 'issued' or voucher_id is not null", name="reward_has_a_voucher"
        ),
        sa.PrimaryKeyConstraint("reward_id"),
    )
    op.create_index(op.f("ix_rewards_member_id"), "rewards", ["member_id"], unique=False)
    op.create_table(
        "tier_changes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("from_tier", sa.Text(), nullable=False),
        sa.Column("to_tier", sa.Text(), nullable=False),
        sa.Column("growth", sa.BigInteger(), nullable=False),
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_tier_changes_member_id"), "tier_changes", ["member_id"], unique=False)
    op.create_table(
        "voucher_templates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=True),
        sa.Column("percent_off", sa.Integer(), nullable=True),
        sa.Column("cap_fen", sa.BigInteger(), nullable=True),
        sa.Column("threshold_fen", sa.BigInteger(), nullable=False),
        sa.Column("scope", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("validity_days", sa.Integer(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("per_member_limit", sa.Integer(), nullable=True),
        sa.Column("stock", sa.BigInteger(), nullable=True),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("stackable", sa.Boolean(), nullable=False),
        sa.Column("reward_key", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('amount_off', 'percent_off', 'new_customer', 'gift')",
            name="voucher_template_kind",
        ),
        sa.CheckConstraint("state in ('active', 'closed')", name="voucher_template_state"),
        sa.CheckConstraint(
            "issued >= 0 and (stock is null or issued <= stock)", name="never_oversold"
        ),
        sa.CheckConstraint(_WORTH, name="voucher_template_worth"),
        sa.CheckConstraint(_AMOUNTS, name="voucher_template_amounts"),
        sa.CheckConstraint(
            "(validity_days is null) <> (valid_until is null)"
            " and (validity_days is null or valid_from is null)",
            name="voucher_template_validity",
        ),
        sa.CheckConstraint("per_member_limit > 0", name="voucher_template_limit"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reward_key"),
    )
    op.create_table(
        "vouchers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=True),
        sa.Column("percent_off", sa.Integer(), nullable=True),
        sa.Column("cap_fen", sa.BigInteger(), nullable=True),
        sa.Column("threshold_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("order_fen", sa.BigInteger(), nullable=True),
        sa.Column("discount_fen", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('issued', 'held', 'redeemed', 'expired', 'voided', 'frozen')",
            name="voucher_state",
        ),
        sa.CheckConstraint(_WORTH, name="voucher_worth"),
        sa.CheckConstraint(_AMOUNTS, name="voucher_amounts"),
        sa.CheckConstraint("valid_from < expires_at", name="voucher_period"),
        sa.CheckConstraint(
            "case when state = 'redeemed' then num_nulls("
            "order_id, order_fen, discount_fen, redeemed_at) = 0 else order_id is null end",
            name="voucher_redeemed_on_an_order",
        ),
        sa.CheckConstraint(
            "discount_fen >= 0 and discount_fen <= order_fen", name="voucher_discount"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code", name="voucher_code"),
        sa.UniqueConstraint("source_kind", "source_id", name="voucher_once_per_source"),
    )
    op.create_index("vouchers_by_member", "vouchers", ["member_id", "id"], unique=False)
    op.create_index("vouchers_by_template", "vouchers", ["template_id", "member_id"], unique=False)
    op.create_index(
        "vouchers_expiring",
        "vouchers",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'issued'"),
    )
    op.create_table(
        "lot_allocations",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("points <> 0", name="allocation_moves_points"),
        sa.ForeignKeyConstraint(
            ["member_id", "entry_seq"],
            ["point_entries.member_id", "point_entries.seq"],
        ),
        sa.ForeignKeyConstraint(
            ["member_id", "lot_id"],
            ["point_lots.member_id", "point_lots.id"],
        ),
        sa.PrimaryKeyConstraint("member_id", "entry_seq", "lot_id"),
    )
    op.execute(
        sa.text(
            "insert into programme_versions (version, rules, published_by, published_at)"
            " values (1, cast(:rules as jsonb), 'default', '1970-01-01T00:00:00Z')"
        ).bindparams(rules=_DEFAULT_RULES)
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_table("lot_allocations")
    op.drop_index(
        "vouchers_expiring",
        table_name="vouchers",
        postgresql_where=sa.text("state = 'issued'"),
    )
    op.drop_index("vouchers_by_template", table_name="vouchers")
    op.drop_index("vouchers_by_member", table_name="vouchers")
    op.drop_table("vouchers")
    op.drop_table("voucher_templates")
    op.drop_index(op.f("ix_tier_changes_member_id"), table_name="tier_changes")
    op.drop_table("tier_changes")
    op.drop_index(op.f("ix_rewards_member_id"), table_name="rewards")
    op.drop_table("rewards")
    op.drop_index("refunds_by_order", table_name="refunds")
    op.drop_table("refunds")
    op.drop_index(
        "redemptions_stale", table_name="redemptions", postgresql_where=sa.text("state = 'held'")
    )
    op.drop_index("redemptions_by_member", table_name="redemptions")
    op.drop_table("redemptions")
    op.drop_table("programme_versions")
    op.drop_index(
        "point_lots_spendable",
        table_name="point_lots",
        postgresql_where=sa.text("state = 'available' and remaining > 0"),
    )
    op.drop_index(
        "point_lots_maturing",
        table_name="point_lots",
        postgresql_where=sa.text("state = 'pending' and available_at is not null"),
    )
    op.drop_index(
        "point_lots_expiring",
        table_name="point_lots",
        postgresql_where=sa.text("state = 'available' and remaining > 0"),
    )
    op.drop_index("point_lots_by_cause", table_name="point_lots")
    op.drop_table("point_lots")
    op.drop_index("point_entries_by_cause", table_name="point_entries")
    op.drop_table("point_entries")
    op.drop_index("orders_by_member", table_name="orders")
    op.drop_table("orders")
    op.drop_index(
        "order_imports_open",
        table_name="order_imports",
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.drop_table("order_imports")
    op.drop_table("order_import_refusals")
    op.drop_table("members")
    op.drop_index(op.f("ix_identities_member_id"), table_name="identities")
    op.drop_table("identities")
    op.drop_index("growth_entries_by_time", table_name="growth_entries")
    op.drop_table("growth_entries")
    op.drop_table("accounts")
    drop_technical_tables()
