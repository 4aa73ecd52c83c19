"""Money is an integer count of fen (1/100 CNY). Floats never touch it."""

from typing import Final

FEN_PER_YUAN: Final = 100

#: The most one amount may be: one hundred million yuan. Sums stay below 2**53 for JavaScript.
MAX_FEN: Final = 10_000_000_000


def yuan_text(fen: int) -> str:
    """An amount for people: 2000 → `20`, 1250 → `12.50`, -5 → `-0.05`."""
    sign = "-" if fen < 0 else ""
    yuan, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{sign}{yuan}.{rest:02d}" if rest else f"{sign}{yuan}"
