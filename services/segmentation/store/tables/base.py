"""What all tables of this service share: one metadata of their own, and column shorthands."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

_registry = registry()
metadata = _registry.metadata


class Base(SQLModel, registry=_registry):
    """Base of this service's tables, apart from those of other services in the same process."""


def moment(*, null: bool = False) -> Any:
    """A moment in UTC."""
    return Field(
        default=None if null else ..., sa_column=Column(DateTime(timezone=True), nullable=null)
    )


def words(*, null: bool = False, primary_key: bool = False) -> Any:
    """A text without a length of its own; the doors bound it."""
    return Field(
        default=None if null else ...,
        sa_column=Column(Text, nullable=null, primary_key=primary_key),
    )


def amount() -> Any:
    """An amount in fen."""
    return Field(default=0, sa_type=BigInteger)
