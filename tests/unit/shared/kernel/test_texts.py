"""Every word for people stands in both languages, and every refusal has its words."""

import importlib
import pkgutil
import re
import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
import services
import shared
from shared.kernel.errors import InvalidField, Refusal
from shared.kernel.texts import Language, catalogue, language_of, text

LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")
HAN = re.compile(r"[\u4e00-\u9fff]")


def every_module() -> Iterator[str]:
    """All modules of the product but migrations, which only Alembic may import."""
    for package in (shared, services, gateway):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in found.name:
                yield found.name


def refusals(root: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for one in root.__subclasses__():
        yield one
        yield from refusals(one)


def every_refusal() -> list[type[Refusal]]:
    """Those of the product; tests make their own."""
    for module in every_module():
        importlib.import_module(module)
    return [one for one in refusals() if not one.__module__.startswith("tests.")]


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


def test_every_text_is_in_both_languages() -> None:
    wrong = [key for key, words in catalogue().items() if set(words) != set(LANGUAGES)]
    assert wrong == []


def test_every_text_has_words_and_well_formed_facts() -> None:
    for key, words in catalogue().items():
        for language in LANGUAGES:
            assert words[language].strip(), key
            # The description of the whole API is shown as it stands.
            for name in () if key.startswith("openapi.") else placeholders(words[language]):
                assert re.fullmatch(r"[a-z][a-z0-9_]*", name), f"{key}: {name}"


def test_chinese_texts_are_chinese_and_english_ones_are_not() -> None:
    for key, words in catalogue().items():
        assert HAN.search(words["zh-CN"]), key
        if not key.startswith("deploy."):
            assert not HAN.search(words["en"]), key


def test_every_refusal_has_a_title_and_a_detail() -> None:
    found = every_refusal()
    assert InvalidField in found
    missing = {
        f"problem.{one.code}.{part}"
        for one in found
        for part in ("title", "detail")
        if f"problem.{one.code}.{part}" not in catalogue()
    }
    assert missing == set()


def test_refusals_of_one_code_mean_the_same_kind() -> None:
    kinds: dict[str, set[int]] = {}
    for one in every_refusal():
        kinds.setdefault(one.code, set()).add(one.kind.value)
    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}


def test_titles_hold_no_facts_and_both_languages_tell_the_same_ones() -> None:
    for key, words in catalogue().items():
        if key.startswith("problem."):
            told = [placeholders(words[language]) for language in LANGUAGES]
            assert told[0] == told[1], key
            assert not (key.endswith(".title") and told[0]), key


def test_facts_are_filled_in_and_never_read_as_a_pattern() -> None:
    words = text("problem.already_recorded_differently.detail", language="en", facts={"id": "{x}"})
    assert words.startswith("{x} was recorded")


def test_a_fact_that_is_missing_leaves_the_text_standing() -> None:
    assert "{oldest}" in text("problem.feed_truncated.detail", language="en", facts={"id": "x"})
    assert text("no.such.text", language="en") == "no.such.text"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "zh-CN"),
        ("", "zh-CN"),
        ("en", "en"),
        ("EN-us", "en"),
        ("zh", "zh-CN"),
        ("zh-Hant-TW", "zh-CN"),
        ("fr", "zh-CN"),
        ("*", "zh-CN"),
        ("en, zh", "en"),
        ("zh, en", "zh-CN"),
        ("zh;q=0.5, en;q=0.9", "en"),
        ("zh; q=0.5, en; q=0.9", "en"),
        ("zh;Q=0.5,en;Q=0.9", "en"),
        ("en;q=0", "zh-CN"),
        ("fr, en;q=0.1", "en"),
        ("en;q=x", "zh-CN"),
        ("en;q=nan", "zh-CN"),
        ("english", "zh-CN"),
        (";;;,,,", "zh-CN"),
    ],
)
def test_the_language_is_the_callers_and_chinese_by_default(
    header: str | None, language: str
) -> None:
    assert language_of(header) == language


@given(st.text())
def test_any_header_names_one_of_our_languages(header: str) -> None:
    assert language_of(header) in LANGUAGES
