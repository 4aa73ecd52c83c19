"""Alembic's entry: this service's tables, the way every service migrates."""

from services.referral.store.tables import metadata
from shared.migrations import run_migrations

run_migrations(metadata)
