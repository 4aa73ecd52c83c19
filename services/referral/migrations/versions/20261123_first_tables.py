"""first tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

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
    op.execute("create sequence outbox_id as bigint cache 1")
    op.create_table(
        "event_cursors",
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=True),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("producer"),
    )
    op.create_table(
        "event_subjects",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "feed_acks",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("acked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer"),
    )
    op.create_table(
        "feed_head",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("pos", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("one", name="feed_head_is_one_row"),
        sa.PrimaryKeyConstraint("one"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
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
        "outbox",
        sa.Column(
            "id", sa.BigInteger(), server_default=sa.text("nextval('outbox_id')"), nullable=False
        ),
        sa.Column("pos", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_version", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        sa.UniqueConstraint("pos"),
        sa.UniqueConstraint("subject", "subject_version", name="outbox_subject_version"),
    )
    op.create_index(
        "outbox_pending", "outbox", ["id"], unique=False, postgresql_where=sa.text("pos is null")
    )
    op.create_table(
        "parked_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("event", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'parked'"), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('parked', 'applied', 'skipped')", name="parked_event_state"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("producer", "event_id", name="parked_event_once"),
    )
    op.create_index(
        "parked_events_waiting",
        "parked_events",
        ["producer", "subject", "pos"],
        unique=False,
        postgresql_where=sa.text("state = 'parked'"),
    )
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
    op.execute("insert into feed_head default values")
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
    op.drop_index(
        "parked_events_waiting",
        table_name="parked_events",
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.drop_table("parked_events")
    op.drop_index("outbox_pending", table_name="outbox", postgresql_where=sa.text("pos is null"))
    op.drop_table("outbox")
    op.drop_index("order_facts_by_member", table_name="order_facts")
    op.drop_table("order_facts")
    op.drop_table("member_facts")
    op.drop_table("idempotency_keys")
    op.drop_table("feed_head")
    op.drop_table("feed_acks")
    op.drop_table("event_subjects")
    op.drop_table("event_cursors")
    op.execute("drop sequence outbox_id")
