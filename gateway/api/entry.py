"""What a request must bring before it is let through to the operation it asks for."""

from gateway.api.bodies import BodyTooLarge
from gateway.api.inbound import Inbound, MalformedRequest
from gateway.operations.authentication import Caller, KeyRing
from gateway.policy import Operation
from shared.http.tokens import Unauthenticated
from shared.http.writes import IdempotencyKeyMissing
from shared.kernel.errors import Refusal, RefusalKind

#: The methods that bring a body.
BODY_METHODS = frozenset({"POST", "PUT"})


class ScopeMissing(Refusal):
    """The key is good, but it may not do this."""

    code = "scope_missing"
    kind = RefusalKind.forbidden


class UnsupportedMediaType(Refusal):
    """The body is not of a type that the operation takes."""

    code = "unsupported_media_type"
    kind = RefusalKind.wrong_media_type


async def admit(inbound: Inbound, operation: Operation, *, keys: KeyRing) -> Caller:
    """Let a request in, or refuse it with the first thing that is wrong, before its body is read.

    Raises Unauthenticated, ScopeMissing, MalformedRequest, BodyTooLarge, UnsupportedMediaType and
    IdempotencyKeyMissing.
    """
    if inbound.twice is not None:
        raise MalformedRequest
    credential = inbound.credential
    if credential is None:
        raise Unauthenticated
    caller = await keys.authenticate(credential)
    if operation.scope is not None and operation.scope not in caller.scopes:
        raise ScopeMissing(scope=operation.scope)
    if operation.method in BODY_METHODS:
        _admit_body(inbound, operation)
    return caller


def _admit_body(inbound: Inbound, operation: Operation) -> None:
    if inbound.announced_bytes > operation.body_bytes:
        raise BodyTooLarge(limit_bytes=operation.body_bytes)
    if inbound.has_body:
        plain = inbound.headers.get(b"content-encoding", b"identity") == b"identity"
        if not plain or inbound.media_type not in operation.media_types:
            raise UnsupportedMediaType(accepted=", ".join(operation.media_types))
    if operation.keyed and not inbound.headers.get(b"idempotency-key"):
        raise IdempotencyKeyMissing
