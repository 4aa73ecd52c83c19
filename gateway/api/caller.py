"""Who is calling, for our own routes, and the operation that tells it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from gateway.operations.authentication import Caller
from shared.http.fields import ReplyModel
from shared.http.tokens import Unauthenticated

router = APIRouter(tags=["access"])


def require_caller(request: Request) -> Caller:
    """The caller that the front let in."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise Unauthenticated
    return caller


CurrentCaller = Annotated[Caller, Depends(require_caller)]


class CallerReply(ReplyModel):
    """The key that this request was made with."""

    key_id: str
    name: str
    manager: bool
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


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
