"""A producer and a consumer made of nothing but the shared event log, to be tormented.

The consumer's effect has no business key on purpose: whatever is applied twice shows.
"""

from typing import ClassVar, Final

from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from sqlalchemy import text

from shared.contracts.envelope import EventData
from shared.db import Database, Transaction
from shared.events.applying import on
from shared.kernel.clock import SystemClock
from shared.service.app import ServiceParts, Subscription, create_app
from shared.settings import ServiceSettings, async_url
from shared.sql import execute
from shared.tables import technical

PRODUCER: Final = "loyalty"
CONSUMER: Final = "segmentation"
SUBJECTS: Final = 200


class StepTaken(EventData):
    """The rig's only event: the `step`-th of its subject, `number` unique over all."""

    type: ClassVar[str] = "step.taken.v1"

    number: int
    subject: str
    step: int


class ProducerSettings(ServiceSettings):
    """Read under RIG_PRODUCER_."""

    model_config = SettingsConfigDict(env_prefix="RIG_PRODUCER_")


class ConsumerSettings(ServiceSettings):
    """Read under RIG_CONSUMER_."""

    model_config = SettingsConfigDict(env_prefix="RIG_CONSUMER_")

    producer_url: str = Field(validation_alias="RIG_PRODUCER_URL")


def build_producer(settings: ServiceSettings) -> FastAPI:
    """A service that only has a log."""
    return create_app(
        ServiceParts(
            service=PRODUCER, title="rig", settings=settings, clock=SystemClock(), routers=[]
        )
    )


def build_consumer(settings: ConsumerSettings) -> FastAPI:
    """A service that only listens."""
    subscription = Subscription(
        producer=PRODUCER,
        base_url=settings.producer_url,
        handlers=dict([on(StepTaken, note_step)]),
    )
    return create_app(
        ServiceParts(
            service=CONSUMER,
            title="rig",
            settings=settings,
            clock=SystemClock(),
            routers=[],
            subscriptions=[subscription],
        )
    )


async def note_step(transaction: Transaction, data: StepTaken) -> None:
    """The effect: one row per time applied."""
    await execute(
        transaction.session,
        text("insert into applied (number, subject, step) values (:number, :subject, :step)"),
        {"number": data.number, "subject": data.subject, "step": data.step},
    )


async def prepare(url: str) -> None:
    """Make the rig's tables in an empty database."""
    database = Database(async_url(url), service="rig", clock=SystemClock())
    async with database.engine.begin() as connection:
        await connection.run_sync(technical.create_all)
        for statement in (
            "insert into feed_head default values",
            "create table applied (id bigserial, number bigint, subject text, step bigint)",
            "create table steps (subject text primary key, step bigint not null)",
            f"insert into steps select 'subject-' || n, 0 from generate_series(1, {SUBJECTS}) n",
        ):
            await connection.execute(text(statement))
    await database.close()


async def delay_commits(database: Database, *, up_to_ms: int) -> None:
    """Let each transaction that wrote events dawdle at commit, after its ids were drawn.

    A deferred constraint trigger runs as the last thing before the commit becomes visible.
    """
    async with database.engine.begin() as connection:
        await connection.execute(
            text(
                "create function dawdle() returns trigger language plpgsql as $$ begin"
                f" perform pg_sleep(random() * {up_to_ms} / 1000.0); return null; end $$"
            )
        )
        await connection.execute(
            text(
                "create constraint trigger dawdle after insert on outbox"
                " deferrable initially deferred for each row execute function dawdle()"
            )
        )


def __getattr__(name: str) -> FastAPI:
    """`producer` and `consumer`, for servers in processes of their own."""
    if name == "producer":
        return build_producer(ProducerSettings())
    if name == "consumer":
        return build_consumer(ConsumerSettings())
    raise AttributeError(name)
