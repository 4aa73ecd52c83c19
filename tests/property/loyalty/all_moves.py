"""Everything that may happen in a world, by its name."""

from tests.property.loyalty import (  # noqa: F401 - their moves
    world_clock,
    world_moves_more,
    world_orders,
)
from tests.property.loyalty.world_moves import MOVES, Move

__all__ = ["MOVES", "Move"]
