"""The command that makes the first key."""

import asyncio
import os
import sys
from pathlib import Path

from gateway.domain.api_keys import read_key
from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest

_ROOT = Path(__file__).parent.parent.parent.parent


async def first_key(gateway: GatewayUnderTest, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.first_key"),
        cwd=_ROOT,
        env={
            **os.environ,
            "GATEWAY_DATABASE_URL": gateway.environment["database_url"],
            "LC_ALL": "C",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_it_prints_a_manager_key_alone_on_the_last_line(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway()
    code, out, err = await first_key(gateway)
    assert code == 0, err
    key = out.rstrip("\n").split("\n")[-1]
    caller = (await gateway.call("GET", "/v1/caller", key=key)).json()
    assert caller["manager"] is True
    assert key not in err
    assert "1 active manager keys before" in err


async def test_it_makes_another_one_each_time(start_gateway: GatewayStarter) -> None:
    gateway = await start_gateway()
    keys = {(await first_key(gateway))[1] for _ in range(2)}
    assert len(keys) == 2
    for key in keys:
        assert (await gateway.call("GET", "/v1/caller", key=key.strip())).status_code == 200


async def test_a_sandbox_gets_a_key_of_its_own_kind(start_gateway: GatewayStarter) -> None:
    gateway = await start_gateway(mode="sandbox")
    _, out, _ = await first_key(gateway, HUITOU_MODE="sandbox")
    assert read_key(out.strip(), mode="sandbox") is not None
    assert (await gateway.call("GET", "/v1/caller", key=out.strip())).status_code == 200
    _, live, _ = await first_key(gateway)
    assert (await gateway.call("GET", "/v1/caller", key=live.strip())).status_code == 401
