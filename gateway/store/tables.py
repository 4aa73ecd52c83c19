"""The gateway's tables, in a metadata of its own."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.tables import add_technical_tables

_registry = registry()
metadata = _registry.metadata


class Table(SQLModel, registry=_registry):
    """Base of the gateway's tables. Apart from the services' in the same process."""


def _moment(*, null: bool) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=null)


class ApiKey(Table, table=True):
    """A key, without its secret. Revoked ones stay, so that records keep meaning something."""

    __tablename__: ClassVar[str] = "api_keys"
    __table_args__ = (
        CheckConstraint("id ~ '^[0-9a-z]{8}$'", name="api_key_id"),
        CheckConstraint("octet_length(secret_hash) = 32", name="api_key_hash"),
        CheckConstraint(
            "not ('*' = any (scopes)) or cardinality(scopes) = 1", name="api_key_all_scopes_alone"
        ),
        CheckConstraint(
            "(revoked_at is null) = (revoked_by is null)", name="api_key_revoked_by_somebody"
        ),
        Index("api_keys_by_age", "created_at", "id"),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=_moment(null=False))
    expires_at: datetime | None = Field(default=None, sa_column=_moment(null=True))
    revoked_at: datetime | None = Field(default=None, sa_column=_moment(null=True))
    revoked_by: str | None = Field(default=None, sa_column=Column(Text))
    #: To the minute, so that a busy key does not write on every request.
    last_used_at: datetime | None = Field(default=None, sa_column=_moment(null=True))


class ClockAdvance(Table, table=True):
    """A move of the sandbox's clock: from where to where, and how far it has come."""

    __tablename__: ClassVar[str] = "clock_advances"
    __table_args__ = (
        CheckConstraint("from_at < to_at and from_at <= at", name="advance_goes_forward"),
        # The clock makes one move at a time.
        Index(
            "clock_advance_going_on",
            "settled",
            unique=True,
            postgresql_where=text("not settled"),
        ),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    from_at: datetime = Field(sa_column=_moment(null=False))
    to_at: datetime = Field(sa_column=_moment(null=False))
    #: The moment at which all clocks stand, or last stood.
    at: datetime = Field(sa_column=_moment(null=False))
    #: How many moments were visited, `to_at` among them.
    moments: int = Field(
        default=0, sa_column=Column(BigInteger, server_default=text("0"), nullable=False)
    )
    settled: bool = Field(
        default=False, sa_column=Column(Boolean, server_default=text("false"), nullable=False)
    )
    #: The service that cannot do its part just now.
    waiting_for: str | None = Field(default=None, sa_column=Column(Text))
    actor: str = Field(sa_column=Column(Text, nullable=False))


add_technical_tables(metadata)
