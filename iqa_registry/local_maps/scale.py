"""The values that the colors of a map stand for."""

from __future__ import annotations

from dataclasses import dataclass

from iqa_registry.local_maps.colors import DIVERGING, SEQUENTIAL, Table


@dataclass(frozen=True, slots=True)
class Scale:
    """The values that a map's colors stand for.

    Attributes:
        equal: the map's value where the images are equal: it is black.
        far: the value of the brightest color; everything beyond it has that color too.
        signed: whether values on both sides of ``equal`` are told apart (by blue and orange).
    """

    equal: float
    far: float
    signed: bool = False

    @property
    def low(self) -> float:
        """The lowest value that has a color of its own."""
        return self.equal - abs(self.far - self.equal) if self.signed else min(self.equal, self.far)

    @property
    def high(self) -> float:
        """The highest value that has a color of its own."""
        return self.equal + abs(self.far - self.equal) if self.signed else max(self.equal, self.far)

    @property
    def colors(self) -> Table:
        """The colors from :attr:`low` to :attr:`high`."""
        if self.signed:
            return DIVERGING
        return SEQUENTIAL if self.far > self.equal else SEQUENTIAL[::-1]
