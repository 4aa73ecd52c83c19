"""Exporting what is on record about one person: in which form, and how much at most."""

from typing import Final

from shared.kernel.errors import Refusal

#: The version of the document; it changes when something in it is renamed or goes.
SCHEMA_VERSION: Final = 1
#: Rows in all. No shopper comes near; an account with more is a shop's till, not a person.
ROWS_MAX: Final = 50_000


class ExportTooLarge(Refusal):
    """More rows than one document holds."""

    code = "export_too_large"
