"""A study: which subjects, which errors at which severity, which ratings; everything but the pixels, by one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from iqa_datasets.phantom.degradations import DEGRADATIONS, NEEDS_LESION
from iqa_datasets.phantom.raters import Panel, make_panel
from iqa_registry.statistics.raters import trimmed_mean

Array = NDArray[np.float64]

HOW_MANY = (0.5, 0.3, 0.2)
"""How often an image has one error, two, three."""
SEVERITY = (0.05, 1.0)
"""Range of severities, evenly drawn."""
HEIGHTS = (-5.0, 35.0)
"""Range of slices, mm above the anterior commissure: from the basal ganglia to above the ventricles."""
_SUBJECT, _SCENE, _PAIR, _RATING, _PANEL = range(5)
_FOR_PANEL = 1500


@dataclass(frozen=True, slots=True)
class SimulatedSubject:
    """A subject before it is drawn: its name, the slice that is shown, whether there are lesions."""

    number: int
    name: str
    height: float
    lesion: bool


@dataclass(frozen=True)
class Study:
    """Subjects, errors and ratings of a phantom study.

    Each is drawn from a stream of its own, so that a longer study begins with the shorter one, and another panel of
    raters sees the same images.

    Attributes:
        seed: of subjects and errors.
        lesions: share of subjects with lesions.
        per_subject: synthesized images of each subject.
        degradations: errors that may occur.
        raters: how many.
        panel: seed of the raters.
        icc: how well they agree, ICC(2,1).
    """

    seed: int
    lesions: float
    per_subject: int
    degradations: Sequence[str]
    raters: int
    panel: int
    icc: float

    def subject(self, number: int) -> SimulatedSubject:
        """Subject ``number``, from 0."""
        rng = np.random.default_rng([self.seed, _SUBJECT, number])
        height, chance = rng.uniform(*HEIGHTS), rng.random()
        return SimulatedSubject(number, f"sim-{number + 1:04d}", float(height), bool(chance < self.lesions))

    def scene_stream(self, number: int) -> np.random.Generator:
        """What draws subject ``number``'s brain."""
        return np.random.default_rng([self.seed, _SCENE, number])

    def pair_stream(self, number: int) -> np.random.Generator:
        """What draws the errors' own randomness in pair ``number``."""
        return np.random.default_rng([self.seed, _PAIR, number, 1])

    def severities(self, number: int) -> dict[str, float]:
        """The errors of pair ``number``, by name, in the order in which they are applied.

        Example:
            >>> study = Study(1, 0.5, 8, tuple(DEGRADATIONS), 10, 0, 0.62)
            >>> study.severities(3)
            {'residual-source': 0.128, 'warp': 0.412}
        """
        rng = np.random.default_rng([self.seed, _PAIR, number, 0])
        return _draw_errors(rng, self._possible(self.subject(number // self.per_subject).lesion))

    def _possible(self, lesion: bool) -> list[str]:
        return [
            name
            for name in DEGRADATIONS
            if name in self.degradations and (lesion or name not in NEEDS_LESION)
        ]

    def ratings(self, number: int) -> Array:
        """Scores ``(raters,)`` of pair ``number``, each 0, 0.1 ... 0.9."""
        draws = np.random.default_rng([self.panel, _RATING, self.seed, number]).standard_normal(
            (1, self.raters)
        )
        return self._panel.rate(as_row(self.severities(number))[None], draws)[0]

    def rating(self, number: int) -> float:
        """Trimmed mean of pair ``number``'s scores."""
        return float(np.round(trimmed_mean(self.ratings(number)[None])[0], 6))

    @cached_property
    def _panel(self) -> Panel:
        rng = np.random.default_rng([self.panel, _PANEL])
        drawn = []
        for _ in range(_FOR_PANEL):
            possible = self._possible(bool(rng.random() < self.lesions))
            drawn.append(as_row(_draw_errors(rng, possible)))
        return make_panel(rng, self.raters, self.icc, np.stack(drawn))


def as_row(severities: dict[str, float]) -> Array:
    """Severities of all errors in their order, 0 for those that are not there."""
    return np.array([severities.get(name, 0.0) for name in DEGRADATIONS])


def _draw_errors(rng: np.random.Generator, possible: Sequence[str]) -> dict[str, float]:
    """One to three errors and their severities; of those that change the lesion, no two: a lost lesion has no place."""
    count = 1 + int(rng.choice(len(HOW_MANY), p=HOW_MANY))
    order = [possible[index] for index in rng.permutation(len(possible))]
    first = next((name for name in order if name in NEEDS_LESION), None)
    chosen = [name for name in order if name == first or name not in NEEDS_LESION][:count]
    severities = np.round(rng.uniform(*SEVERITY, len(chosen)), 3)
    drawn = dict(zip(chosen, severities.tolist(), strict=True))
    return {name: drawn[name] for name in DEGRADATIONS if name in drawn}
