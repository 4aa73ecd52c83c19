"""The front: plain ASGI, before everything else. What it does not let in is not served."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.answers import Overloaded, hardened, problem_for
from gateway.api.bodies import CallerGone, read_body
from gateway.api.entry import BODY_METHODS, admit
from gateway.api.inbound import Inbound
from gateway.api.proxy import Proxy
from gateway.domain.routing import Routes
from gateway.operations.authentication import Caller, KeyRing
from gateway.policy import OPEN_ROUTES, OPERATIONS, OpenRoute, Operation
from shared.http.tokens import Call

OWN: Final = "gateway"


class _Route:
    """What the log and the metrics ask of a route: its operation's id."""

    def __init__(self, operation_id: str) -> None:
        self.operation_id = operation_id


class Front:
    """Lets requests in by the policy table, forwards them, or hands them to our own routes."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing, proxy: Proxy, concurrency: int) -> None:
        self._app = app
        self._keys = keys
        self._proxy = proxy
        self._concurrency = concurrency
        self._serving = 0
        self._routes: Routes[Operation | OpenRoute] = Routes([*OPERATIONS, *OPEN_ROUTES])
        self._named = {operation.id: _Route(operation.id) for operation in OPERATIONS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; turn whatever is raised into a problem, unless the answer has begun."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            if not begun:
                begun = True
                message["headers"] = hardened(message.get("headers", []))
            await send(message)

        inbound = Inbound.of(scope)
        self._serving += 1
        try:
            await self._serve(inbound, scope, receive, watched)
        except CallerGone:
            return
        except Exception as error:
            if begun:
                raise
            await problem_for(error, inbound)(scope, receive, watched)
        finally:
            self._serving -= 1

    async def _serve(self, inbound: Inbound, scope: Scope, receive: Receive, send: Send) -> None:
        row = self._routes.find(method=inbound.method, raw_path=inbound.raw_path)
        if isinstance(row, OpenRoute):
            # HEAD is answered as GET is; the server leaves the body out.
            await self._app({**scope, "method": row.method}, receive, send)
            return
        scope["route"] = self._named[row.id]
        # Health and the documents above are served even then.
        if self._serving > self._concurrency:
            raise Overloaded
        caller = await admit(inbound, row, keys=self._keys)
        if row.service == OWN:
            await self._serve_own(row, caller, scope, receive, send)
        else:
            await self._proxy.forward(
                inbound, row, principal=caller.principal, receive=receive, send=send
            )

    async def _serve_own(
        self, operation: Operation, caller: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        body = b""
        if operation.method in BODY_METHODS:
            body = await read_body(receive, limit_bytes=operation.body_bytes)
        call = Call(issuer=OWN, operation=operation.id, principal=caller.principal)
        state = {**scope.get("state", {}), "call": call, "caller": caller}
        inner = {**scope, "method": operation.method, "state": state}
        await self._app(inner, _whole(body, receive), send)


def _whole(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that has been read, once, and then what else comes."""
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
