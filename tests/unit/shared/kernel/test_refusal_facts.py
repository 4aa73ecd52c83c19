"""Wherever a refusal is made, it brings the facts that its words need."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType

from shared.events.feed import FeedTruncated
from shared.kernel.errors import InvalidField, NotFound, Refusal
from shared.kernel.texts import catalogue
from tests.unit.shared.kernel.test_texts import every_module, placeholders


def needed(refusal: type[Refusal]) -> set[str]:
    """The facts of a refusal's words, in any language."""
    keys = (f"problem.{refusal.code}.title", f"problem.{refusal.code}.detail")
    return {
        name for key in keys for words in catalogue()[key].values() for name in placeholders(words)
    }


def brought(refusal: type[Refusal], call: ast.Call | None) -> set[str] | None:
    """The facts that a call gives, or its class itself; None when they cannot be read off."""
    own = refusal.__init__
    if own is not Refusal.__init__:
        tree = ast.parse(textwrap.dedent(inspect.getsource(own)))
        call = next(
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"
        )
    names = [keyword.arg for keyword in call.keywords] if call is not None else []
    return None if None in names else {name for name in names if name is not None}


def makings(module: ModuleType) -> Iterator[tuple[type[Refusal], ast.Call | None, int]]:
    """Every place in a module where a refusal is raised or made."""
    tree = ast.parse(inspect.getsource(module))
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    raised = {id(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and (id(node) in called or id(node) in raised):
            found = getattr(module, node.id, None)
            if inspect.isclass(found) and issubclass(found, Refusal) and found is not Refusal:
                yield found, called.get(id(node)), node.lineno


def faults(module: ModuleType) -> list[str]:
    """Places where words would stand with a hole in them."""
    wrong = []
    for refusal, call, line in makings(module):
        facts = brought(refusal, call)
        if facts is not None and needed(refusal) - facts:
            lacking = sorted(needed(refusal) - facts)
            wrong.append(f"{module.__name__}:{line} {refusal.__name__} lacks {lacking}")
    return wrong


def test_every_refusal_brings_the_facts_of_its_words() -> None:
    modules = [importlib.import_module(name) for name in every_module()]
    made = {refusal for module in modules for refusal, _, _ in makings(module)}
    assert {NotFound, InvalidField} <= made
    assert [fault for module in modules for fault in faults(module)] == []


def test_a_refusal_without_its_facts_is_found() -> None:
    assert faults(importlib.import_module(__name__)) == [
        f"{__name__}:{_planted.__code__.co_firstlineno + 1} FeedTruncated lacks ['oldest']"
    ]


def _planted() -> None:
    raise FeedTruncated
