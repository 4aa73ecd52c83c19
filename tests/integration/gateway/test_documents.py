"""`/openapi.json` and the console's files."""

import asyncio
from typing import Any

import schemathesis

from gateway.policy import OPERATIONS
from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest
from tests.support.waiting import until

Json = dict[str, Any]


def document_of(*operations: str) -> Json:
    """A service's own document with some of the policy's operations."""
    rows = [row for row in OPERATIONS if row.id in operations]
    paths: Json = {}
    for row in rows:
        names = [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
        paths.setdefault(row.path, {})[row.method.lower()] = {
            "operationId": row.id,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in names
            ],
            "responses": {"200": {"description": "Successful Response"}},
        }
    return {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": paths}


def ids_of(document: Json) -> set[str]:
    return {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    }


async def test_the_document_is_valid_and_holds_what_the_services_and_the_gateway_offer(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway()
    gateway.services["loyalty"].document = document_of("show_wallet", "redeem_points")
    gateway.services["referral"].document = document_of("show_referral_code")
    gateway.services["segmentation"].document = document_of("list_segments")
    answer = await gateway.call("GET", "/openapi.json", key=None)
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    own = {row.id for row in OPERATIONS if row.service == "gateway"}
    offered = {"show_wallet", "redeem_points", "show_referral_code", "list_segments"}
    assert ids_of(document) == own | offered
    schemathesis.openapi.from_dict(document).validate()
    assert set(document["info"]["x-parts"].values()) == {"current"}
    assert set(document["components"]["securitySchemes"]) == {"api_key"}


async def test_the_document_speaks_both_languages(gateway: GatewayUnderTest) -> None:
    async def summary(path: str, **headers: str) -> str:
        answer = await gateway.call("GET", path, key=None, headers=headers)
        words: str = answer.json()["paths"]["/v1/caller"]["get"]["summary"]
        return words

    assert await summary("/openapi.json") == "我是谁，有哪些权限"
    english = "Who I am and what I may do"
    assert await summary("/openapi.json", **{"Accept-Language": "en"}) == english
    assert await summary("/openapi.json?lang=en", **{"Accept-Language": "zh-CN"}) == english


async def test_an_unchanged_document_is_not_sent_again(gateway: GatewayUnderTest) -> None:
    first = await gateway.call("GET", "/openapi.json", key=None)
    headers = {"If-None-Match": first.headers["ETag"]}
    again = await gateway.call("GET", "/openapi.json", key=None, headers=headers)
    assert (again.status_code, again.content) == (304, b"")


async def test_many_who_ask_at_once_make_the_services_answer_once(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway()
    for service in gateway.services.values():
        service.document = document_of()
    answers = await asyncio.gather(
        *(gateway.call("GET", "/openapi.json", key=None) for _ in range(30))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert [one.documents_asked for one in gateway.services.values()] == [1, 1, 1]


async def test_a_service_that_failed_to_answer_is_asked_anew(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway(deadline_s=0.2)
    for service in gateway.services.values():
        service.document = document_of()
    loyalty = gateway.services["loyalty"]
    loyalty.document = document_of("show_wallet")
    before = (await gateway.call("GET", "/openapi.json", key=None)).json()
    assert "show_wallet" in ids_of(before)
    loyalty.held = asyncio.Event()
    assert (await gateway.call("GET", "/v1/tiers")).status_code == 504
    loyalty.held.set()
    loyalty.document = document_of("show_wallet", "show_points")
    after = (await gateway.call("GET", "/openapi.json", key=None)).json()
    assert "show_points" in ids_of(after)


async def test_a_service_that_is_away_is_shown_as_last_seen_and_the_document_says_so(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway(deadline_s=0.2)
    gateway.services["loyalty"].document = document_of("show_wallet")
    first = (await gateway.call("GET", "/openapi.json?lang=en", key=None)).json()
    assert first["info"]["x-parts"]["loyalty"] == "current"
    assert first["info"]["x-parts"]["referral"] == "missing"
    assert "referral" in first["info"]["description"]
    gateway.services["loyalty"].document = None

    async def last_known() -> bool:
        document = (await gateway.call("GET", "/openapi.json", key=None)).json()
        assert "show_wallet" in ids_of(document)
        return bool(document["info"]["x-parts"]["loyalty"] == "last_known")

    await until(last_known, what="the gateway to ask again")


async def test_the_root_leads_to_the_console(gateway: GatewayUnderTest) -> None:
    answer = await gateway.call("GET", "/", key=None)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/console")


async def test_the_console_comes_from_here_alone_and_may_load_nothing_from_elsewhere(
    gateway: GatewayUnderTest,
) -> None:
    page = await gateway.call("GET", "/console", key=None)
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("console.js", "labels.js", "console.css", "mark.svg", "swagger-ui-bundle.js"):
        assert f"/console/{name}" in page.text
        found = await gateway.call("GET", f"/console/{name}", key=None)
        assert found.status_code == 200
        assert found.headers["Content-Encoding"] == "gzip"
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        unchanged = {"If-None-Match": found.headers["ETag"]}
        again = await gateway.call("GET", f"/console/{name}", key=None, headers=unchanged)
        assert again.status_code == 304


async def test_only_the_consoles_own_files_are_served(gateway: GatewayUnderTest) -> None:
    for name in ("nothing.js", "..", "%2e%2e", "page", "__init__.py", "console.py", "LICENSE%00"):
        answer = await gateway.call("GET", f"/console/{name}", key=None)
        assert answer.status_code in (307, 404), name
    licence = await gateway.call("GET", "/console/LICENSE", key=None)
    assert "Apache License" in licence.text


async def test_the_consoles_words_are_there_in_both_languages(gateway: GatewayUnderTest) -> None:
    facts = (await gateway.call("GET", "/console/facts.json", key=None)).json()
    assert facts["mode"] == "live"
    for key, words in facts["texts"].items():
        assert set(words) == {"zh-CN", "en"}, key
    page = (await gateway.call("GET", "/console", key=None)).text
    script = (await gateway.call("GET", "/console/console.js", key=None)).text
    for key in facts["texts"]:
        plain = key.removesuffix("_live").removesuffix("_sandbox")
        assert f'"{key}"' in page + script or f"{plain}_$" in script, f"{key} is said nowhere"
