"""first tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.technical_tables import create_technical_tables, drop_technical_tables

revision: str = "23b97f4f7598"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

#: The programme that a new deployment begins with, ready to use.
_DEFAULT_RULES = """
{
  "stages": [
    {"name": "enrolled", "trigger": "enrolled", "rewards": [
      {"role": "referrer", "amount_fen": 2000},
      {"role": "referee", "amount_fen": 2000}
    ]},
    {"name": "first_order", "trigger": "first_order_paid", "rewards": [
      {"role": "referrer", "amount_fen": 5000}
    ]}
  ],
  "voucher": {"threshold_fen": 0, "validity_days": 90},
  "minimum_order_fen": 0,
  "caps": {"per_day": null, "per_month": null},
  "starts_at": null,
  "ends_at": null
}
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    create_technical_tables()
    op.create_table(
        "member_facts",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code_given", sa.Text(), nullable=True),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("member_id"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "order_facts",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("payer_hash", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(paid_fen is null) = (paid_at is null)", name="order_paid_at_once"),
        sa.CheckConstraint("paid_fen >= 0", name="order_paid_not_negative"),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("order_facts_by_member", "order_facts", ["member_id"], unique=False)
    op.create_table(
        "programme_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name="programme_version_positive"),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "referral_codes",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code"),
        sa.UniqueConstraint("member_id", "channel", name="one_code_per_channel"),
    )
    op.create_table(
        "referrals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("referrer_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("referrer_capped", sa.Boolean(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_order_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state = 'rejected') = (refusal is not null)", name="referral_rejected_for_a_reason"
        ),
        sa.CheckConstraint(
            "referrer_id <> member_id or state = 'rejected'", name="nobody_refers_themselves"
        ),
        sa.CheckConstraint(
            "referrer_id is not null or state = 'rejected'", name="referral_has_a_referrer"
        ),
        sa.CheckConstraint(
            "state in ('attributed', 'enrolled', 'qualified', 'completed', 'under_review',"
            " 'rejected', 'reversed')",
            name="referral_state",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("member_id", name="one_referral_per_referee"),
    )
    op.create_index("referrals_by_referrer", "referrals", ["referrer_id", "id"], unique=False)
    op.create_index("referrals_by_state", "referrals", ["state", "id"], unique=False)
    op.create_table(
        "refund_facts",
        sa.Column("refund_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("in_full", sa.Boolean(), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen >= 0", name="refund_not_negative"),
        sa.PrimaryKeyConstraint("refund_id"),
    )
    op.create_index("refund_facts_by_member", "refund_facts", ["member_id"], unique=False)
    op.create_table(
        "rewards",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("beneficiary_id", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("threshold_fen", sa.BigInteger(), nullable=False),
        sa.Column("validity_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("voucher_id", sa.Text(), nullable=True),
        sa.Column("voucher_state", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome in ('voided', 'written_off', 'never_issued', 'refused')", name="reward_outcome"
        ),
        sa.CheckConstraint(
            "outcome is null or state = 'reversed'", name="reward_outcome_of_reversed"
        ),
        sa.CheckConstraint("role in ('referrer', 'referee')", name="reward_role"),
        sa.CheckConstraint("stage in ('enrolled', 'first_order')", name="reward_stage"),
        sa.CheckConstraint(
            "state <> 'issued' or voucher_id is not null", name="reward_issued_is_a_voucher"
        ),
        sa.CheckConstraint(
            "state in ('pending', 'issuing', 'issued', 'reversed')", name="reward_state"
        ),
        sa.CheckConstraint(
            "voucher_state in ('issued', 'redeemed', 'voided')", name="reward_voucher_state"
        ),
        sa.CheckConstraint(
            "amount_fen > 0 and threshold_fen >= 0 and validity_days > 0 and generation > 0",
            name="reward_amounts",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "referral_id", "stage", "role", "generation", name="reward_granted_once"
        ),
    )
    op.create_index(
        "one_live_reward",
        "rewards",
        ["referral_id", "stage", "role"],
        unique=True,
        postgresql_where=sa.text("state <> 'reversed'"),
    )
    op.execute(
        sa.text(
            "insert into programme_versions (version, rules, published_by, published_at)"
            " values (1, cast(:rules as jsonb), 'default', now())"
        ).bindparams(rules=_DEFAULT_RULES)
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_index(
        "one_live_reward", table_name="rewards", postgresql_where=sa.text("state <> 'reversed'")
    )
    op.drop_table("rewards")
    op.drop_index("refund_facts_by_member", table_name="refund_facts")
    op.drop_table("refund_facts")
    op.drop_index("referrals_by_state", table_name="referrals")
    op.drop_index("referrals_by_referrer", table_name="referrals")
    op.drop_table("referrals")
    op.drop_table("referral_codes")
    op.drop_table("programme_versions")
    op.drop_index("order_facts_by_member", table_name="order_facts")
    op.drop_table("order_facts")
    op.drop_table("member_facts")
    drop_technical_tables()
