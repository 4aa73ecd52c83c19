"""Copies of frozen dataclasses with some fields changed, for the paths that make many."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # To a type checker it is the standard one, which knows each record's fields.
    from dataclasses import replace as replace
else:

    def replace(record, /, **changes):
        """As `dataclasses.replace`, in a tenth of its time.

        For records that have no `__slots__`, no `__post_init__` and no fields left out of their
        constructor: then a copy is its fields, and nothing has to be run to make it.
        """
        made = object.__new__(type(record))
        fields = made.__dict__
        fields.update(record.__dict__)
        fields.update(changes)
        return made
