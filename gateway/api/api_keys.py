"""API keys over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, Field

from gateway.api.caller import MANAGER, CurrentCaller
from gateway.domain.api_keys import ALL_SCOPES, KeyFacts
from gateway.operations.api_keys import MadeKey, create_api_key, revoke_api_key
from gateway.operations.authentication import KeyRing
from gateway.policy import SCOPES
from gateway.store.api_keys import list_keys
from shared.db import Database, Transaction
from shared.http.fields import Line, Moment, ReplyModel, RequestModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import OpenWrite, Reply
from shared.kernel.paging import InvalidCursor, decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/api_keys", tags=["access"])

_KEY_ID: Final = "A key's id, the middle part of its text"
KeyId = Annotated[str, Path(pattern=r"^[0-9a-hjkmnp-tv-z]{8}$", description=_KEY_ID)]
ScopeName = Literal[(*SCOPES, ALL_SCOPES)]  # type: ignore[valid-type]

_EXAMPLE: Final[dict[str, Any]] = {
    "name": "storefront",
    "scopes": ["members:write", "orders:write", "points:read"],
    "expires_at": "2027-11-23T00:00:00Z",
}


_NAME: Final = "What it is for, for people"


class NewApiKey(RequestModel):
    """What a new key is for and may do."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Annotated[Line, Field(description=_NAME)]
    #: `*` alone makes a manager key.
    scopes: Annotated[
        list[ScopeName],
        Field(max_length=len(SCOPES), description="Scopes, or `*` alone for a manager key"),
    ]
    expires_at: Annotated[
        Moment | None, Field(description="From when on it is not valid; in the future. Null: never")
    ] = None


class ApiKeyReply(ReplyModel):
    """A key, without its secret."""

    id: Annotated[str, Field(description=_KEY_ID)]
    name: Annotated[str, Field(description=_NAME)]
    manager: Annotated[bool, Field(description=MANAGER)]
    scopes: Annotated[list[str], Field(description="What it may do")]
    state: Literal["active", "expired", "revoked"]
    created_by: Annotated[
        str,
        Field(description="`api_key:` and the id of the key that made it, or `command:first_key`"),
    ]
    created_at: datetime
    expires_at: Annotated[datetime | None, Field(description="Null: never")]
    revoked_at: Annotated[datetime | None, Field(description="Null if it was not revoked")]
    last_used_at: datetime | None = Field(description="To the minute")


class MadeApiKeyReply(ApiKeyReply):
    """A new key. Its text is shown this once and kept nowhere."""

    key: str | None = Field(
        description="The key. Null when this is the repetition of an earlier request: "
        "it was shown then, and only its hash is kept.",
    )


@router.get("", operation_id="list_api_keys")
async def list_api_keys(
    request: Request, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PageReply[ApiKeyReply]:
    """All keys, newest first, revoked ones too; never their secrets."""
    database: Database = request.app.state.database
    before = _place(cursor) if cursor is not None else None
    async with database.reading() as session:
        rows = await list_keys(session, limit=limit + 1, before=before)
    page = page_of(rows, limit=limit, mark=_mark)
    now = database.clock.now()
    shown = [ApiKeyReply(**_shown(row, at=now)) for row in page.rows]
    return PageReply(data=shown, next_cursor=page.next_cursor)


@router.post(
    "",
    operation_id="create_api_key",
    status_code=201,
    response_model=MadeApiKeyReply,
    responses={403: {"description": "`scope_not_yours`"}},
)
async def create_key(
    body: NewApiKey, request: Request, caller: CurrentCaller, write: OpenWrite
) -> Response:
    """Make a key with at most the scopes of the key that asks. It is shown once."""
    shown_once = ""

    async def create(transaction: Transaction) -> MadeKey:
        return await create_api_key(
            transaction,
            caller_id=caller.key.id,
            mode=request.app.state.mode,
            name=body.name,
            scopes=_scopes(body),
            expires_at=body.expires_at,
        )

    def reply(made: MadeKey) -> Reply:
        nonlocal shown_once
        facts = _shown(made.facts, at=made.facts.created_at)
        shown_once = MadeApiKeyReply(**facts, key=made.secret.text).model_dump_json()
        # This is what is kept for repetitions, and no secret is ever kept.
        return Reply(body=MadeApiKeyReply(**facts, key=None), status=201)

    answer = await write.run(create, reply=reply)
    if answer.status_code != 201 or "idempotency-replayed" in answer.headers:
        return answer
    return Response(shown_once, status_code=201, media_type="application/json")


@router.delete(
    "/{key_id}",
    operation_id="revoke_api_key",
    status_code=204,
    responses={
        403: {"description": "`key_beyond_yours`"},
        409: {"description": "`last_manager_key`"},
    },
)
async def revoke_key(
    key_id: KeyId, request: Request, caller: CurrentCaller, write: OpenWrite
) -> Response:
    """Revoke a key: at once here, within five seconds in other processes of the gateway."""
    keys: KeyRing = request.app.state.keys
    answer = await write.run(
        lambda transaction: revoke_api_key(transaction, caller_id=caller.key.id, key_id=key_id),
        reply=lambda _: Reply(body=None, status=204),
    )
    keys.forget(key_id)
    return answer


def _scopes(body: NewApiKey) -> list[str]:
    """With `*` among them the others say nothing more."""
    return [ALL_SCOPES] if ALL_SCOPES in body.scopes else list(body.scopes)


def _shown(key: KeyFacts, *, at: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "manager": key.manager,
        "scopes": sorted(key.granted),
        "state": key.state(at=at),
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _mark(key: KeyFacts) -> str:
    return encode_cursor(key.created_at.isoformat(), key.id)


def _place(cursor: str) -> tuple[datetime, str]:
    created_at, key_id = decode_cursor(cursor, str, str)
    try:
        at = datetime.fromisoformat(str(created_at))
        if at.tzinfo is None:
            raise InvalidCursor
        return at.astimezone(UTC), str(key_id)
    except (ValueError, OverflowError):
        raise InvalidCursor from None
