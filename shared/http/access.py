"""Who calls: the verified call behind a request, held to the one operation it was made for."""

from typing import Annotated

from fastapi import Depends, Request

from shared.http.middleware import operation_of
from shared.http.tokens import Call, Principal, Unauthenticated
from shared.kernel.errors import Refusal, RefusalKind


class WrongOperation(Refusal):
    """The token was made for another operation."""

    code = "forbidden"
    kind = RefusalKind.forbidden


async def require_call(request: Request) -> Call:
    """The call of this request. Raises WrongOperation unless its token names this very route."""
    call = getattr(request.state, "call", None)
    if not isinstance(call, Call):
        raise Unauthenticated
    if call.operation != operation_of(request.scope):
        raise WrongOperation
    return call


async def require_principal(call: Annotated[Call, Depends(require_call)]) -> Principal:
    """On whose behalf the request is made."""
    return call.principal


CurrentCall = Annotated[Call, Depends(require_call)]
CurrentPrincipal = Annotated[Principal, Depends(require_principal)]
