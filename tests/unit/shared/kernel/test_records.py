"""A copy with some fields changed is what the standard library would have made."""

import dataclasses
from dataclasses import dataclass, field

from shared.kernel.records import replace


@dataclass(frozen=True, kw_only=True)
class Base:
    name: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record(Base):
    count: int = 0
    notes: dict[str, int] = field(default_factory=dict)


def test_it_equals_the_standard_librarys_and_leaves_the_original() -> None:
    record = Record(name="tea", count=2, notes={"a": 1})
    made = replace(record, count=3, tags=("new",))
    assert made == dataclasses.replace(record, count=3, tags=("new",))
    assert type(made) is Record
    assert hash(dataclasses.replace(record, notes=())) is not None  # type: ignore[arg-type]
    assert record == Record(name="tea", count=2, notes={"a": 1})


def test_a_copy_stays_frozen() -> None:
    made = replace(Record(name="tea"), count=1)
    try:
        made.count = 2  # type: ignore[misc]
    except dataclasses.FrozenInstanceError:
        return
    raise AssertionError("it can be changed")


def test_no_record_of_the_domain_has_what_the_copy_would_skip() -> None:
    """`__post_init__`, `__slots__` or `init=False` would be passed over in silence."""
    import importlib
    import inspect
    import pkgutil

    import services.loyalty.domain as domain

    seen = 0
    for module in pkgutil.iter_modules(domain.__path__, f"{domain.__name__}."):
        loaded = importlib.import_module(module.name)
        if "shared.kernel.records" not in inspect.getsource(loaded):
            continue
        for one in vars(loaded).values():
            if inspect.isclass(one) and dataclasses.is_dataclass(one):
                assert not hasattr(one, "__post_init__"), one
                assert "__slots__" not in vars(one), one
                assert all(f.init for f in dataclasses.fields(one)), one
                seen += 1
    assert seen > 10
