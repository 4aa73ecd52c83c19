"""What all tables of this service share: one metadata of their own, and column shorthands."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Text, false
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

_registry = registry()
metadata = _registry.metadata


class Table(SQLModel, registry=_registry):
    """Base of this service's tables. Apart from the other services' in the same process."""


def moment(*, null: bool = False, index: bool = False) -> Any:
    """A moment in UTC."""
    return Field(
        default=None if null else ...,
        sa_column=Column(DateTime(timezone=True), nullable=null, index=index),
    )


def amount(default: int | None = None, *, null: bool = False) -> Any:
    """A count of points, growth or fen."""
    return Field(default=default if default is not None or null else ..., sa_type=BigInteger)


def flag() -> Any:
    """Something that is not so unless it is said."""
    return Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))


def words(*, null: bool = False, primary_key: bool = False, index: bool = False) -> Any:
    """A text without a length of its own; the doors bound it."""
    return Field(
        default=None if null else ...,
        sa_column=Column(Text, nullable=null, primary_key=primary_key, index=index),
    )


def document(*, null: bool = False) -> Any:
    """Free-form data."""
    return Field(default=None if null else ..., sa_column=Column(JSONB, nullable=null))


Moment = datetime
