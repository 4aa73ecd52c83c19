"""The catalogue of texts for people, in Chinese first and English.

Texts live in `shared/contracts/texts/*.toml`: a table per key, a line per language, with
`{facts}` to be filled in. A missing text is a defect that a test finds, never a fault at run time.
What code says of itself in English, in docstrings and fields, stands in Chinese in `descriptions/`.
"""

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal

Language = Literal["zh-CN", "en"]
DEFAULT_LANGUAGE: Final[Language] = "zh-CN"
_FOLDER: Final = Path(__file__).parent.parent / "contracts" / "texts"


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every text by dotted key and language. Two files may not hold the same key."""
    texts: dict[str, Mapping[str, str]] = {}
    for file in sorted(_FOLDER.glob("*.toml")):
        for key, by_language in _flatten("", tomllib.loads(file.read_text("utf-8"))):
            if key in texts:
                raise ValueError(f"text {key} stands twice, again in {file.name}")
            texts[key] = by_language
    return texts


def text(key: str, *, language: Language, facts: Mapping[str, str | int] | None = None) -> str:
    """The words for a key in a language, facts filled in; the key itself when there are none."""
    words = catalogue().get(key, {}).get(language)
    if words is None:
        return key
    try:
        return words.format_map(facts or {})
    except (KeyError, IndexError, ValueError):
        return words


@cache
def descriptions() -> Mapping[str, str]:
    """The Chinese for what code says of itself, by the English in one line."""
    found: dict[str, str] = {}
    for file in sorted((_FOLDER / "descriptions").glob("*.toml")):
        found |= tomllib.loads(file.read_text("utf-8"))
    return found


def described(english: str, *, language: Language) -> str:
    """A description in a language; in English where no other is known."""
    if language == "en":
        return english
    return descriptions().get(" ".join(english.split()), english)


def language_of(accept_language: str | None) -> Language:
    """Choose the language by an Accept-Language header (RFC 9110 §12.5.4); Chinese by default."""
    # Cut before it is remembered: anybody may send any header.
    return _language_of((accept_language or "")[:200])


@lru_cache(maxsize=256)
def _language_of(accept_language: str) -> Language:
    best: tuple[float, Language] = (0.0, DEFAULT_LANGUAGE)
    for part in accept_language.split(",")[:10]:
        tag, _, weight = part.lower().partition(";")
        quality = _quality(weight.strip().removeprefix("q="))
        language: Language | None = _known(tag.strip())
        if language is not None and quality > best[0]:
            best = (quality, language)
    return best[1]


def _known(tag: str) -> Language | None:
    if tag == "*" or tag.split("-")[0] == "zh":
        return "zh-CN"
    return "en" if tag.split("-")[0] == "en" else None


def _quality(quality_text: str) -> float:
    if not quality_text:
        return 1.0
    try:
        return min(1.0, max(0.0, float(quality_text)))
    except ValueError:
        return 0.0


def _flatten(prefix: str, table: Mapping[str, object]) -> list[tuple[str, Mapping[str, str]]]:
    """Walk nested tables; a table whose values are words is one text."""
    found: list[tuple[str, Mapping[str, str]]] = []
    words = {name: value for name, value in table.items() if isinstance(value, str)}
    if words:
        found.append((prefix, words))
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flatten(f"{prefix}.{name}" if prefix else name, value)
    return found
