"""Alembic's entry: the gateway's tables, the way every service migrates."""

from gateway.store.tables import metadata
from shared.migrations import run_migrations

run_migrations(metadata)
