"""Waits until processes say that they are ready."""

import asyncio
from typing import Final

import httpx

from deploy.local.child import Child
from deploy.local.failures import CannotRun

_LONGEST_SECONDS: Final = 120.0


async def wait_until_ready(child: Child, *, address: str) -> None:
    """Poll `/readyz` until it answers 200.

    Raises CannotRun when the process keeps crashing or is not ready after two minutes.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + _LONGEST_SECONDS
    answer = ""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while clock() < deadline:
            child.refuse_if_hopeless()
            try:
                reply = await client.get(f"{address}/readyz")
            except httpx.HTTPError as failure:
                answer = str(failure)
            else:
                if reply.status_code == httpx.codes.OK:
                    return
                answer = f"{reply.status_code} {reply.text[:500]}"
            await asyncio.sleep(0.1)
    raise CannotRun("never_ready", name=child.name, answer=answer)
