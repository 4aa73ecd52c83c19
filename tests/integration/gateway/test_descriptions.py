"""What the services say of themselves is in the public document in Chinese, too, all of it."""

import re
from collections.abc import Iterator
from typing import Any, Final

from gateway.domain.openapi_parts import Part, take
from gateway.policy import OPERATIONS
from shared.kernel.texts import descriptions
from tests.support.service import Starter

CODE: Final = re.compile(r"`[^`]+`")
#: Codes alone, which are the same in every language, and FastAPI's own words, which we replace.
NO_WORDS: Final = re.compile(r"(`[a-z_]+`(, )?)+|Successful Response")


def described_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "description" and isinstance(value, str):
                yield " ".join(value.split())
            yield from described_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from described_in(value)


async def test_every_description_has_its_chinese_and_none_is_left_over(start: Starter) -> None:
    said: set[str] = set()
    for name in ("loyalty", "referral", "segmentation", "gateway"):
        document = (await start(name)).app.openapi()
        rows = [row for row in OPERATIONS if row.service == name]
        taken = take(Part(service=name, document=document, current=True), rows, language="en")
        said |= {*described_in([*taken.operations.values()]), *described_in(taken.schemas)}
    worded = {one for one in said if not NO_WORDS.fullmatch(one)}
    assert sorted(worded - descriptions().keys()) == []
    assert sorted(descriptions().keys() - worded) == []


def test_the_chinese_names_the_same_codes_and_fields() -> None:
    both = descriptions().items()
    other = [one for one, chinese in both if {*CODE.findall(one)} != {*CODE.findall(chinese)}]
    assert other == []
