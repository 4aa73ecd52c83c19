"""What every service's Alembic `env.py` does: one place for locks, limits and the driver."""

import asyncio

from alembic import context
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

#: Two migrators at once take turns on this advisory lock.
_LOCK = 4_203_161


def run_migrations(metadata: MetaData) -> None:
    """Run the migrations that Alembic was asked for, against `url` of the configuration."""
    asyncio.run(_run(context.config.attributes["url"], metadata))


async def _run(url: str, metadata: MetaData) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, metadata)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
    # A migration that waits for a lock makes everybody behind it wait: rather fail and come again.
    connection.execute(text("set lock_timeout = '4s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
    connection.commit()
