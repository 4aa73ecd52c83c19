"""Who is calling, for our own routes, and the operation that tells it."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from gateway.operations.authentication import Caller
from shared.http.fields import ReplyModel
from shared.http.tokens import Unauthenticated

router = APIRouter(tags=["access"])

MANAGER: Final = "Whether it has all scopes, and those to come"


def require_caller(request: Request) -> Caller:
    """The caller that the front let in."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise Unauthenticated
    return caller


CurrentCaller = Annotated[Caller, Depends(require_caller)]


class CallerReply(ReplyModel):
    """The key that this request was made with."""

    key_id: Annotated[str, Field(description="A key's id, the middle part of its text")]
    name: Annotated[str, Field(description="What it is for, for people")]
    manager: Annotated[bool, Field(description=MANAGER)]
    scopes: Annotated[list[str], Field(description="What it may do")]
    created_at: datetime
    expires_at: Annotated[datetime | None, Field(description="Null: never")]


@router.get("/v1/caller", operation_id="show_caller")
async def show_caller(caller: CurrentCaller) -> CallerReply:
    """Who I am, and what I may do."""
    return CallerReply(
        key_id=caller.key.id,
        name=caller.key.name,
        manager=caller.key.manager,
        scopes=sorted(caller.scopes),
        created_at=caller.key.created_at,
        expires_at=caller.key.expires_at,
    )
