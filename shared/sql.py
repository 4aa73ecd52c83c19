"""Running Core statements and plain SQL in a session."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable
from sqlmodel.ext.asyncio.session import AsyncSession


async def execute(
    session: AsyncSession,
    statement: Executable,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> CursorResult[Any]:
    """Execute on the session's own connection, past the ORM, and return plain rows."""
    connection = await session.connection()
    return await connection.execute(statement, parameters)
