"""The ledger's proof over HTTP: checkpoints, reconciliations, one member's chain."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from services.loyalty.operations.audit import prove_member
from services.loyalty.operations.reconciliations import start_reconciliation
from services.loyalty.store import checkpoints, reconciliations
from services.loyalty.store.tables import LedgerCheckpoint, LedgerReconciliation
from shared.db import Database
from shared.http.access import CurrentPrincipal
from shared.http.fields import MemberId, MemberRef, ReplyModel, id_pattern
from shared.http.problems import request_language
from shared.http.writes import OpenWrite, Reply
from shared.kernel.errors import NotFound
from shared.kernel.texts import text

router = APIRouter(prefix="/v1/audit/points", tags=["audit"])
member_router = APIRouter(prefix="/v1/members/{member_id}/points", tags=["audit"])

ReconciliationId = Annotated[
    str, Path(pattern=id_pattern("rcn"), description="A reconciliation's id")
]
_SHOWN = 10


class AccountTotals(ReplyModel):
    """Net credits of all entries, by account: all eleven come to nothing. Debt is owed: below 0."""

    available: int
    pending: int
    held: int
    debt: int
    issued: Annotated[int, Field(description="What orders and imports gave: below 0")]
    redeemed: Annotated[int, Field(description="What was spent, less what came back")]
    expired: Annotated[int, Field(description="What lapsed, less what was reinstated")]
    clawed_back: Annotated[int, Field(description="What refunds and cancellations took back")]
    adjusted: Annotated[int, Field(description="What operators took, less what they gave")]
    transferred: Annotated[int, Field(description="0: what one member gave, another got")]
    written_off: Annotated[int, Field(description="What erased members had, less their debt")]


class CheckpointReply(ReplyModel):
    """The whole ledger at one moment. Keep number and hash outside: `verify --expect` takes them"""

    number: Annotated[int, Field(description="1, 2, 3 and so on")]
    hash: Annotated[str, Field(description="SHA-256 in hex; it holds the one before")]
    taken_at: datetime
    members: Annotated[int, Field(description="Members who have any entry")]
    entries: Annotated[int, Field(description="Entries that it covers")]
    totals: AccountTotals


class DisagreementReply(ReplyModel):
    """A member whose books do not agree; `member_id` null for the ledger as a whole."""

    member_id: str | None
    identities: Annotated[
        list[str], Field(description="What does not agree, as codes such as `lots_are_balances`")
    ]


Disagreements = Annotated[int, Field(description="How many disagreements were found")]
FirstDisagreements = Annotated[
    list[DisagreementReply], Field(description="The first of them, ten at most")
]


class ProofReply(ReplyModel):
    """The last checkpoint, and whether all identities held at the last reconciliation."""

    checkpoint: CheckpointReply | None
    entries_since_checkpoint: Annotated[
        int, Field(description="Entries that no checkpoint covers so far")
    ]
    holds: Annotated[bool | None, Field(description="Null while nothing was reconciled yet")]
    checked_at: Annotated[
        datetime | None, Field(description="When the last reconciliation was done")
    ]
    reconciliation_id: Annotated[str | None, Field(description="Of the last one that was done")]
    disagreements: Disagreements
    first_disagreements: FirstDisagreements


class ReconciliationReply(ReplyModel):
    """A reconciliation, how far it has come, and what it found so far."""

    id: Annotated[str, Field(description="A reconciliation's id")]
    state: Literal["running", "done"]
    members: Annotated[int, Field(description="Members compared so far")]
    members_total: Annotated[int, Field(description="Members when it was begun")]
    entries: Annotated[int, Field(description="Entries compared so far")]
    checkpoint: Annotated[int | None, Field(description="The checkpoint it is compared with")]
    holds: Annotated[
        bool | None, Field(description="Whether all identities held; null until it is done")
    ]
    disagreements: Disagreements
    first_disagreements: FirstDisagreements
    started_at: datetime
    finished_at: datetime | None


class MemberProofReply(ReplyModel):
    """The head of a member's chain, and whether all of it is as it was written."""

    member_id: MemberRef
    seq: Annotated[int, Field(description="Number of the last entry; 0 when there is none")]
    hash: Annotated[str | None, Field(description="Of the last entry, in hex")]
    holds: Annotated[bool, Field(description="Whether all of it is as it was written")]
    finding: Annotated[str | None, Field(description="The first thing that is not, in words")]


@router.get("/proof", operation_id="show_ledger_proof")
async def show_ledger_proof(request: Request) -> ProofReply:
    """The head of the chain of checkpoints, the totals, and whether all identities hold."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        newest = await checkpoints.last_checkpoint(session)
        entries = await checkpoints.entries_of_all(session)
        done = await reconciliations.last_finished(session, now=database.clock.now())
    found = [] if done is None else done.first_disagreements[:_SHOWN]
    return ProofReply(
        checkpoint=None if newest is None else _checkpoint(newest),
        entries_since_checkpoint=entries - (newest.entries if newest else 0),
        holds=None if done is None else done.disagreements == 0,
        checked_at=None if done is None else done.finished_at,
        reconciliation_id=None if done is None else done.id,
        disagreements=0 if done is None else done.disagreements,
        first_disagreements=[DisagreementReply(**one) for one in found],
    )


@router.post(
    "/reconciliations",
    operation_id="start_reconciliation",
    status_code=202,
    response_model=ReconciliationReply,
)
async def start_reconciliation_route(write: OpenWrite) -> Response:
    """Compare all that must agree, for every member and as a whole, beside all other work.

    One at a time: while one is at work, it serves for this request too.
    """
    return await write.run(
        start_reconciliation,
        reply=lambda row: Reply(body=_reconciliation(row), status=202),
    )


@router.get(
    "/reconciliations/{reconciliation_id}",
    operation_id="show_reconciliation",
    responses={404: {"description": "`not_found`: no such reconciliation"}},
)
async def show_reconciliation(
    reconciliation_id: ReconciliationId, request: Request
) -> ReconciliationReply:
    """One reconciliation and its progress."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        row = await reconciliations.find_reconciliation(
            session, reconciliation_id=reconciliation_id
        )
    if row is None:
        raise NotFound
    return _reconciliation(row)


@member_router.get(
    "/proof",
    operation_id="show_member_proof",
    responses={404: {"description": "`member_not_found`"}},
)
async def show_member_proof(
    member_id: MemberId, request: Request, principal: CurrentPrincipal
) -> MemberProofReply:
    """One member's chain, recomputed from all its entries, allocations and lots, and compared with
    what the checkpoints saw of it.
    """
    database: Database = request.app.state.database
    proof = await database.run(
        lambda transaction: prove_member(transaction, member_id=member_id), actor=principal.actor
    )
    return MemberProofReply(
        member_id=member_id,
        seq=proof.seq,
        hash=proof.hash.hex() if proof.hash else None,
        holds=proof.finding is None,
        finding=None
        if proof.finding is None
        else _words(proof.finding.code, proof.finding.facts, request),
    )


def _words(code: str, facts: Any, request: Request) -> str:
    language = request_language(request)
    columns = text(f"verify.columns.{facts.get('columns')}", language=language)
    shown = {**facts, "columns": columns} if code == "entry_altered" else facts
    return text(f"verify.{code}", language=language, facts=shown)


def _checkpoint(row: LedgerCheckpoint) -> CheckpointReply:
    return CheckpointReply(
        number=row.number,
        hash=row.hash.hex(),
        taken_at=row.taken_at,
        members=row.members,
        entries=row.entries,
        totals=AccountTotals(**row.totals),
    )


def _reconciliation(row: LedgerReconciliation) -> ReconciliationReply:
    shown = row.model_dump(include=set(ReconciliationReply.model_fields))
    holds = row.disagreements == 0 if row.state == "done" else None
    shown["first_disagreements"] = shown["first_disagreements"][:_SHOWN]
    return ReconciliationReply(**shown, holds=holds)
