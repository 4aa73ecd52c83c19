"""imports of points beside those of orders"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c41f0a7d92e6"
down_revision: str | None = "5d1c0e7a9b42"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CONSTRAINTS = ("state", "finished", "error")


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.rename_table("order_imports", "imports")
    op.alter_column("imports", "orders", new_column_name="taken")
    for name, kind, default in (
        ("kind", sa.Text(), "orders"),
        ("earn", sa.Boolean(), "false"),
        ("enrol", sa.Boolean(), "true"),
    ):
        op.add_column("imports", sa.Column(name, kind, nullable=False, server_default=default))
        op.alter_column("imports", name, server_default=None)
    op.create_check_constraint("import_kind", "imports", "kind in ('orders', 'points')")
    for name in _CONSTRAINTS:
        op.execute(f"alter table imports rename constraint order_import_{name} to import_{name}")
    op.execute("alter index order_imports_pkey rename to imports_pkey")
    op.execute("alter index order_imports_open rename to imports_open")
    op.drop_constraint("order_import_of_one_key", "imports")
    op.create_unique_constraint("import_of_one_key", "imports", ["actor", "kind", "key"])

    op.rename_table("order_import_refusals", "import_refusals")
    op.alter_column("import_refusals", "order_id", new_column_name="reference")
    op.execute("alter index order_import_refusals_pkey rename to import_refusals_pkey")

    op.create_table(
        "imported_movements",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("facts_hash", sa.LargeBinary(), nullable=False),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('balance', 'earned', 'redeemed', 'expired', 'adjusted')",
            name="imported_movement_kind",
        ),
        sa.PrimaryKeyConstraint("member_id", "reference"),
    )
    op.create_index(
        "members_merged_into",
        "members",
        ["merged_into"],
        unique=False,
        postgresql_where=sa.text("merged_into is not null"),
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.drop_index(
        "members_merged_into",
        table_name="members",
        postgresql_where=sa.text("merged_into is not null"),
    )
    op.drop_table("imported_movements")

    op.execute("alter index import_refusals_pkey rename to order_import_refusals_pkey")
    op.alter_column("import_refusals", "reference", new_column_name="order_id")
    op.execute(
        "delete from import_refusals where import_id in"
        " (select id from imports where kind <> 'orders')"
    )
    op.rename_table("import_refusals", "order_import_refusals")

    op.execute("delete from imports where kind <> 'orders'")
    op.drop_constraint("import_of_one_key", "imports")
    op.create_unique_constraint("order_import_of_one_key", "imports", ["actor", "key"])
    op.execute("alter index imports_open rename to order_imports_open")
    op.execute("alter index imports_pkey rename to order_imports_pkey")
    for name in _CONSTRAINTS:
        op.execute(f"alter table imports rename constraint import_{name} to order_import_{name}")
    op.drop_constraint("import_kind", "imports")
    for name in ("enrol", "earn", "kind"):
        op.drop_column("imports", name)
    op.alter_column("imports", "taken", new_column_name="orders")
    op.rename_table("imports", "order_imports")
