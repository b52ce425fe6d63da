"""The settings of a run, checked once before anything is read."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from iqa_registry.errors import UsageError, nearest
from iqa_registry.images.formats import AXES
from iqa_registry.images.intensity import parse_intensity

BUDGET = 1 << 20
"""Pixels of one batch, where the batch size is chosen automatically."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How images are brought to the metrics; every field but the last four can change a score.

    Attributes:
        intensity: the intensity rule as text, ``None`` for the automatic one.
        out_of_range: what happens to values outside [0, 1] after the rule: ``clip`` (and count) or ``error``.
        allow_scale_mismatch: score pairs whose ranges plainly disagree instead of refusing them.
        axis: anatomical axis along which volumes are cut: ``axial``, ``coronal`` or ``sagittal``.
        slices: which slices, as in Python: ``50:80``, ``50:80:5`` or a single number.
        foreground: also score the reference's nonzero region.
        regions: named label sets of the mask.
        lesions: the labels of the masks that are lesion; metrics that look at lesions take them in place of their
            segmenter. By default, and where a pair has no mask, such a metric finds lesions itself.
        resample: bring the synthesized volume (and the mask) onto the reference's grid.
        resize: bring the synthesized picture to the reference's size.
        crop: cut both images centrally to their common size.
        details: keep the parts of a score as rows of their own.
        check_shift: estimate the residual shift of each pair.
        device: ``auto``, ``cpu`` or ``cuda[:n]``.
        precision: ``fp32`` or ``bf16``; the latter for metrics that allow it.
        batch_size: images per batch, ``None`` for automatic.
        workers: threads that read images ahead; 0 reads in the main thread.
        strict: stop at the first row that is not scored.
    """

    intensity: str | None = None
    out_of_range: Literal["clip", "error"] = "clip"
    allow_scale_mismatch: bool = False
    axis: str = "axial"
    slices: str | None = None
    foreground: bool = False
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lesions: Sequence[int] | None = None
    resample: bool = False
    resize: bool = False
    crop: bool = False
    details: bool = False
    check_shift: bool = True
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    batch_size: int | None = None
    workers: int = 2
    strict: bool = False

    def __post_init__(self) -> None:
        parse_intensity(self.intensity)
        parse_slices(self.slices)
        if self.axis not in AXES:
            raise UsageError(f"--axis {self.axis!r}: expected one of {', '.join(sorted(AXES))}.")
        if self.out_of_range not in ("clip", "error"):
            raise UsageError(f"--out-of-range {self.out_of_range!r}: expected clip or error.")
        if self.precision not in ("fp32", "bf16"):
            raise UsageError(f"--precision {self.precision!r}: expected fp32 or bf16.")
        if self.resize and self.crop:
            raise UsageError("--resize and --crop contradict each other; choose one.")
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size}: expected auto or a number of at least 1.")
        if self.workers < 0:
            raise UsageError(f"--workers {self.workers}: expected 0 or more.")
        if self.lesions is not None:
            object.__setattr__(self, "lesions", check_lesions(self.lesions))

    def recorded(self) -> dict[str, Any]:
        """What the run record keeps and a resumed run must agree with."""
        leave_out = {"workers", "strict", "batch_size", "device"}
        return {key: value for key, value in asdict(self).items() if key not in leave_out}


def check_lesions(labels: Any) -> tuple[int, ...]:
    """The labels that are lesion, each once, in ascending order.

    Raises:
        UsageError: no labels, something other than whole numbers, or 0, which is the background.

    Example:
        >>> check_lesions([4, 1, 4])
        (1, 4)
    """
    try:
        found = tuple(sorted({operator.index(label) for label in labels}))
    except TypeError:
        found = ()
    if not found or 0 in found:
        raise UsageError(f"--lesions {labels!r}: expected labels of lesions, whole numbers but 0, say 1,4.")
    return found


def parse_lesions(text: str) -> tuple[int, ...]:
    """Parse ``LABEL,LABEL``.

    Raises:
        UsageError: another form.

    Example:
        >>> parse_lesions("1,4")
        (1, 4)
    """
    try:
        return check_lesions([int(label) for label in text.split(",")])
    except (ValueError, UsageError):
        raise UsageError(
            f"--lesions {text!r}: expected LABEL,LABEL (whole numbers but 0, say 1,4), or the word dataset."
        ) from None


def parse_slices(text: str | None) -> slice:
    """Turn ``"50:80"``, ``"50:80:5"``, ``":20"`` or ``"12"`` into a slice; ``None`` takes all.

    Raises:
        UsageError: anything else.

    Example:
        >>> list(range(100))[parse_slices("50:80:10")]
        [50, 60, 70]
    """
    if text is None:
        return slice(None)
    try:
        numbers = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None and numbers[0] >= 0:
        return slice(numbers[0], numbers[0] + 1)
    if len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[2] == 0):
        raise UsageError(f"--slices {text!r}: expected FIRST:LAST, FIRST:LAST:STEP or one number.")
    return slice(*numbers)


def choose_device(name: str) -> str:
    """Turn ``auto`` into what the machine has, and refuse a device that it has not.

    Raises:
        UsageError: an unknown device, or CUDA where there is none.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name!r}: expected auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use cpu."
        )
    return str(device)


def choose_batch_size(pixels: int, device: str) -> int:
    """Images per batch for images of so many pixels: enough to fill the device, never more than 256.

    Example:
        >>> choose_batch_size(256 * 256, "cpu")
        16
    """
    budget = BUDGET if device == "cpu" else 4 * BUDGET
    return max(1, min(256, budget // max(1, pixels)))


def make_options(given: Mapping[str, Any]) -> Options:
    """Options from keyword arguments.

    Raises:
        UsageError: an option that does not exist (the nearest is offered), or a value that it does not take.

    Example:
        >>> make_options({"axis": "coronal"}).axis
        'coronal'
    """
    known = {item.name for item in fields(Options)}
    for name in given:
        if name not in known:
            raise UsageError(f"there is no option {name!r}.{nearest(name, known)}")
    return Options(**given)
