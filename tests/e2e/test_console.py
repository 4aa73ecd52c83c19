"""An operator at the console, in a real Chromium, against the whole system."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.e2e.runner_process import RunnerProcess

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WHY = "no Chromium on this machine: the console is not tested here (Debian: apt install chromium)"
# Long, since a busy machine is slow: what does not come must fail, not what comes late.
expect.set_options(timeout=60_000)
MEMBER = {"identities": [{"kind": "external", "value": "console-shopper-1"}], "nickname": "小回"}


@dataclass
class Tab:
    """A tab of the console, and what went wrong or out of bounds in it."""

    page: Page
    address: str
    outside: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def connect(self, key: str) -> None:
        """Enter a key, as an operator does."""
        await self.page.fill("#key", key)
        await self.page.click("#key-form button")

    async def open(self, operation_id: str) -> Locator:
        """Choose an operation from the list on the left."""
        await self.page.click(f".operation[href='#{operation_id}']")
        block = self.page.locator(f".opblock.is-open[id$='-{operation_id}']")
        await expect(block.locator(".execute")).to_be_visible()
        return block

    def assert_clean(self) -> None:
        """No request left the product, and the browser had nothing to complain of."""
        assert self.outside == []
        assert self.faults == []


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(WHY)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        await running.close()


@pytest.fixture
async def tab(browser: Browser, system: RunnerProcess) -> AsyncIterator[Tab]:
    """The console, freshly opened."""
    context = await browser.new_context(locale="zh-CN")
    page = await context.new_page()
    opened = Tab(page=page, address=system.address)

    def note_request(url: str) -> None:
        if not url.startswith((system.address, "data:", "blob:")):
            opened.outside.append(url)

    page.on("request", lambda request: note_request(request.url))
    page.on("pageerror", lambda error: opened.faults.append(str(error)))
    page.on(
        "console",
        lambda message: (
            opened.faults.append(message.text)
            # A refused try is logged as an error too; it is not one of the page.
            if message.type == "error" and "status of" not in message.text
            else None
        ),
    )
    await page.goto(system.address)
    await page.wait_for_selector(".opblock")
    yield opened
    await context.close()


async def answer_of(block: Locator) -> tuple[str, object]:
    """The status and the body of the answer that is shown."""
    await expect(block.locator(".live-responses-table .response-col_status")).to_have_count(2)
    live = block.locator(".live-responses-table .response").first
    status = await live.locator(".response-col_status").inner_text()
    body = await live.locator(".highlight-code code, pre").first.inner_text()
    return status.strip()[:3], json.loads(body)


async def test_an_operator_enters_a_key_tries_an_operation_and_sees_the_answer(
    tab: Tab, manager_key: str
) -> None:
    await tab.connect(manager_key)
    await expect(tab.page.locator("#caller")).to_be_visible()
    await expect(tab.page.locator("#caller-toggle")).to_contain_text("管理密钥")
    block = await tab.open("enrol_member")
    await block.locator("textarea").first.fill(json.dumps(MEMBER))
    await block.locator(".execute").click()
    status, member = await answer_of(block)
    assert status == "201"
    assert isinstance(member, dict)
    assert (member["nickname"], member["tier"]["code"]) == ("小回", "regular")
    assert manager_key not in tab.page.url
    assert manager_key not in await tab.page.content(), "commands to copy hold no secret"
    await tab.page.reload()
    await expect(tab.page.locator("#caller")).to_be_visible()
    tab.assert_clean()


async def test_each_try_has_an_idempotency_key_of_its_own_and_one_typed_in_stays(
    tab: Tab, manager_key: str
) -> None:
    sent: list[str] = []
    tab.page.on(
        "request",
        lambda request: (
            sent.append(request.headers.get("idempotency-key", ""))
            if request.method == "POST"
            else None
        ),
    )
    await tab.connect(manager_key)
    await expect(tab.page.locator("#caller")).to_be_visible()
    block = await tab.open("start_segment_run")
    own = block.locator("input[placeholder='Idempotency-Key']")
    await expect(own).to_have_value(UUID)
    first = await own.input_value()
    await block.locator(".execute").click()
    await answer_of(block)
    await expect(own).not_to_have_value(first)
    await own.fill("by-hand-1")
    for _ in range(2):
        async with tab.page.expect_response(lambda one: one.request.method == "POST"):
            await block.locator(".execute").click()
    await expect(own).to_have_value("by-hand-1")
    assert sent == [first, "by-hand-1", "by-hand-1"]
    tab.assert_clean()


async def test_it_speaks_chinese_first_and_english_when_asked(tab: Tab) -> None:
    page = tab.page
    await expect(page.locator("#title")).to_have_text("回头 · API 控制台")
    await expect(page.locator(".opblock-tag").first).to_contain_text("会员")
    block = await tab.open("enrol_member")
    await expect(block.locator(".execute")).to_have_text("发送请求")
    await page.click("#language")
    await expect(page.locator("#title")).to_have_text("Huitou · API console")
    await expect(page.locator(".opblock-tag").first).to_contain_text("Members")
    block = await tab.open("enrol_member")
    await expect(block.locator(".execute")).to_have_text("Execute")
    tab.assert_clean()


async def test_a_key_that_is_not_valid_is_said_to_be_so_and_not_kept(tab: Tab) -> None:
    await tab.connect("hk_live_mistyped")
    await expect(tab.page.locator("#notice")).to_contain_text("密钥无效")
    await expect(tab.page.locator("#caller")).to_be_hidden()
    assert await tab.page.evaluate("sessionStorage.length + localStorage.length") == 0


async def test_a_key_with_few_scopes_sees_what_it_lacks(
    tab: Tab, system: RunnerProcess, manager_key: str
) -> None:
    async with httpx.AsyncClient(base_url=system.address, trust_env=False) as http:
        made = await http.post(
            "/v1/api_keys",
            json={"name": "前台", "scopes": ["tiers:read"]},
            headers={"Authorization": f"Bearer {manager_key}"},
        )
    await tab.connect(made.json()["key"])
    await expect(tab.page.locator("#caller-toggle")).to_contain_text("前台")
    forbidden = re.compile("forbidden")
    await expect(tab.page.locator("[href='#list_tiers']")).not_to_have_class(forbidden)
    await expect(tab.page.locator("[href='#list_api_keys']")).to_have_class(forbidden)
    block = await tab.open("list_tiers")
    await block.locator(".execute").click()
    assert (await answer_of(block))[0] == "200"
    block = await tab.open("list_api_keys")
    await block.locator(".execute").click()
    status, problem = await answer_of(block)
    assert status == "403"
    assert isinstance(problem, dict)
    assert problem["code"] == "scope_missing"


async def test_every_operation_of_the_document_is_listed_and_can_be_found(tab: Tab) -> None:
    async with httpx.AsyncClient(base_url=tab.address, trust_env=False) as http:
        document = (await http.get("/openapi.json")).json()
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert set(document["info"]["x-parts"].values()) == {"current"}
    await expect(tab.page.locator(".operation")).to_have_count(len(ids))
    await expect(tab.page.locator(".opblock")).to_have_count(len(ids))
    await tab.page.fill("#filter", "退款")
    await expect(tab.page.locator(".operation:visible")).to_have_count(1)
