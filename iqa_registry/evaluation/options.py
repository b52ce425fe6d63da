"""The settings of a run: parsed and checked once, before anything is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, TypedDict, cast, get_args

from iqa_registry.errors import OptionError, UsageError, nearest
from iqa_registry.evaluation.items import PIXEL_BUDGET
from iqa_registry.images.axes import Layout, check_layout
from iqa_registry.images.intensity import IntensityRule, parse_intensity
from iqa_registry.images.regions import check_regions, parse_foreground, parse_labels

Axis = Literal["axial", "coronal", "sagittal"]
Empty = Literal["skip", "score"]
OutOfRange = Literal["clip", "error"]
Precision = Literal["fp32", "bf16"]
Geometry = Literal["check", "ignore"]
Align = Literal["translation"]
NaN = Literal["error", "exclude"]


FLAGS = (
    "allow_scale_mismatch", "use_labels", "resample", "resize", "crop", "components", "check_shift", "strict",
)  # fmt: skip


class OptionFields(TypedDict, total=False):
    """The keyword arguments of :func:`iqa_registry.evaluate`: the fields of :class:`Options`, for editors and mypy."""

    intensity: str | IntensityRule | tuple[float, float] | None
    out_of_range: OutOfRange
    allow_scale_mismatch: bool
    axis: Axis
    planes: str | Sequence[Axis]
    slices: str | int | slice | range | tuple[int | None, ...] | None
    foreground: bool | str
    dilate: float
    regions: str | Sequence[str] | Mapping[str, Sequence[int]]
    label_names: Mapping[str, Sequence[int]]
    use_labels: bool
    resample: bool
    geometry: Geometry
    nan: NaN
    layout: Layout | None
    empty: Empty
    resize: bool
    crop: bool
    components: bool
    check_shift: bool
    align: Align | None
    align_range: int
    device: str
    precision: Precision
    batch_size: int | None
    workers: int
    strict: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How images are brought to the metrics. Every field but the last four can change a score.

    Attributes:
        intensity: the intensity rule; text is parsed (``range=-1000,2000``), ``None`` chooses one by the type of the
            images.
        out_of_range: what happens to values outside [0, 1] after the rule: ``clip`` (and count) or ``error``.
        allow_scale_mismatch: score pairs whose value ranges plainly disagree instead of rejecting them.
        axis: the anatomical axis along which volumes are sliced.
        planes: several such axes in one run, ``("axial", "coronal")`` or ``axial+coronal``; ``slices`` holds in each,
            and metrics of volumes see those of the first. ``axis`` becomes the first.
        slices: which slices, as in Python: ``50:80``, ``50:80:5`` or a single number. By default those that the pair
            names, else all.
        foreground: also score the foreground of the reference: ``above=-500`` is what lies above that stored value;
            ``nonzero``; and ``True`` is above -500 where there are values below that (Hounsfield units), else nonzero.
        dilate: millimeters by which the mask and the regions grow (in three dimensions); the foreground does not.
        regions: names of labels that are scored as regions of their own; ``{"core": (1, 4)}`` names them too.
        label_names: what the labels of the label maps are called, beside the names that the dataset gives.
        use_labels: hand the label maps to the metrics that look at labels; by default they find structures themselves.
        resample: resample the synthesized volume (and masks) to the reference grid; what lies outside its field of
            view is excluded from every region.
        geometry: ``check`` that both volumes lie on one grid by their headers, or ``ignore`` these and score voxel
            against voxel as the files store them, where only the shapes must agree.
        layout: what the axes of arrays are: ``XYZ`` or ``ZYX`` (a volume), ``NHW``, ``NCHW`` or ``NHWC`` (a stack of
            2-D images), ``CHW`` or ``HWC`` (one with channels). Needed where the shape leaves it open.
        nan: ``error`` where a region holds NaN or infinite values (with a mask, those outside it do not matter), or
            ``exclude`` them from every region.
        empty: ``skip`` pairs and slices in which both images are empty (0 everywhere under the intensity rule, or the
            background of their volume), or ``score`` them.
        resize: resize the synthesized 2-D image to the size of the reference.
        crop: crop both images centrally to their common size.
        components: keep the components of a score as rows of their own.
        check_shift: estimate the residual shift of each pair.
        align: ``translation`` also scores 2-D images and slices once their best whole-pixel shift is undone, as the
            region ``aligned``: the shift with the least mean absolute error.
        align_range: the largest shift that is tried, in pixels along rows and columns.
        precision: ``fp32`` or ``bf16``; the latter for metrics that allow it.
        device: ``auto``, ``cpu`` or ``cuda[:n]``.
        batch_size: images per batch, ``None`` for automatic.
        workers: threads that read images ahead; 0 reads in the main thread.
        strict: stop at the first row that is not scored.

    Raises:
        OptionError: a value that a field does not take; the error names the field.

    Example:
        >>> options = Options(intensity="range=0,4095", slices="50:80:10")
        >>> options.rule.bounds, list(options.sections(100))
        ((0.0, 4095.0), [50, 60, 70])
    """

    intensity: str | IntensityRule | tuple[float, float] | None = None
    out_of_range: OutOfRange = "clip"
    allow_scale_mismatch: bool = False
    axis: Axis = "axial"
    planes: str | Sequence[Axis] = ()
    slices: str | int | slice | range | tuple[int | None, ...] | None = None
    foreground: bool | str = False
    dilate: float = 0.0
    regions: str | Sequence[str] | Mapping[str, Sequence[int]] = ()
    label_names: Mapping[str, Sequence[int]] = field(default_factory=dict)
    use_labels: bool = False
    resample: bool = False
    geometry: Geometry = "check"
    nan: NaN = "error"
    layout: Layout | None = None
    empty: Empty = "skip"
    resize: bool = False
    crop: bool = False
    components: bool = False
    check_shift: bool = True
    align: Align | None = None
    align_range: int = 5
    precision: Precision = "fp32"
    device: str = "auto"
    batch_size: int | None = None
    workers: int = 2
    strict: bool = False

    def __post_init__(self) -> None:
        parsed: dict[str, Any] = {}
        if not isinstance(self.intensity, IntensityRule):
            parsed["intensity"] = parse_intensity(_as_rule(self.intensity))
        if not isinstance(self.slices, slice | None):
            parsed["slices"] = parse_slices(_as_slices(self.slices))
        regions = self.regions
        given = regions if isinstance(regions, Mapping) else {}
        names = {**self.label_names, **given}
        parsed["label_names"] = {name: parse_labels(labels, name) for name, labels in names.items()}
        parsed["regions"] = check_regions([regions] if isinstance(regions, str) else list(regions))
        parse_foreground(self.foreground)
        parsed["planes"] = parse_planes(self.planes)
        if parsed["planes"]:
            first = parsed["planes"][0]
            if self.axis not in ("axial", first):
                raise OptionError("planes", f"contradicts axis={self.axis}; choose one.")
            parsed["axis"] = first
        try:
            parsed["layout"] = check_layout(self.layout)
        except ValueError as error:
            raise OptionError("layout", str(error)) from None
        for name, value in parsed.items():
            object.__setattr__(self, name, value)
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise OptionError(name, f"{getattr(self, name)!r} is not True or False.")
        self._check_choices()

    def _check_choices(self) -> None:
        for name, choices in (
            ("axis", Axis),
            ("out_of_range", OutOfRange),
            ("precision", Precision),
            ("geometry", Geometry),
            ("nan", NaN),
            ("empty", Empty),
        ):
            known = get_args(choices)
            if getattr(self, name) not in known:
                raise OptionError(name, f"{getattr(self, name)!r} is not one of {', '.join(known)}.")
        if self.align not in (None, *get_args(Align)):
            raise OptionError("align", f"{self.align!r} is not translation.")
        if self.align_range < 1:
            raise OptionError("align_range", f"{self.align_range} is not a number of pixels of at least 1.")
        self._check_numbers()
        if self.resize and self.crop:
            raise OptionError("resize", "contradicts crop; choose one.")
        if self.resample and self.geometry == "ignore":
            raise OptionError("geometry", "ignore contradicts resample; choose one.")

    def _check_numbers(self) -> None:
        if self.batch_size is not None and not (_is_whole(self.batch_size) and self.batch_size >= 1):
            raise OptionError("batch_size", f"{self.batch_size} is not auto or a number of at least 1.")
        if not (_is_number(self.dilate) and 0 <= self.dilate < math.inf):
            raise OptionError("dilate", f"{self.dilate} is not a number of millimeters of at least 0.")
        if not isinstance(self.device, str):
            raise OptionError("device", f"{self.device!r} is not auto, cpu, cuda or cuda:N.")
        if not _is_whole(self.workers) or self.workers is None or self.workers < 0:
            raise OptionError(
                "workers", f"{self.workers!r} is not a number of at least 0; 0 reads in the main thread."
            )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes along which volumes are sliced."""
        return cast(tuple[Axis, ...], self.planes) or (self.axis,)

    @property
    def rule(self) -> IntensityRule:
        """The parsed intensity rule."""
        return cast(IntensityRule, self.intensity)

    def sections(self, length: int, otherwise: str | None = None) -> range:
        """The slices of a volume of ``length`` slices; ``otherwise`` holds where no option names any."""
        chosen = parse_slices(otherwise) if self.slices is None else cast(slice, self.slices)
        return range(length) if chosen is None else range(length)[chosen]

    def named(self, label_names: Mapping[str, Sequence[int]]) -> Options:
        """With the names that a dataset gives to its labels; names that the options give take precedence.

        Raises:
            OptionError: a region that is not the name of a label.
        """
        options = replace(self, label_names={**label_names, **self.label_names})
        for name in options.regions:
            if name not in options.label_names:
                known = ", ".join(options.label_names) or "none"
                raise OptionError(
                    "regions",
                    f"{name!r} is not the name of a label ({known}); define it as {name}=LABEL,LABEL."
                    f"{nearest(str(name), options.label_names)}",
                )
        return options

    def recorded(self) -> dict[str, Any]:
        """What the run record keeps and a resumed run must agree with."""
        leave_out = {"workers", "strict", "batch_size", "device"}
        # Left out where it is not used, so that runs of earlier versions are resumed.
        leave_out |= set() if self.planes else {"planes"}
        leave_out |= set() if self.align else {"align", "align_range"}
        kept = {key: value for key, value in asdict(self).items() if key not in leave_out}
        return kept | {"intensity": str(self.intensity), "slices": format_slices(self.slices)}


def _as_rule(value: Any) -> str | None:
    """Text of an intensity rule; two numbers are a range."""
    if isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value)):
        return f"range={float(value[0])!r},{float(value[1])!r}"
    if value is None or isinstance(value, str):
        return value
    raise OptionError("intensity", f"{value!r} is not a rule such as 'range=0,4095', or two numbers.")


def _as_slices(value: Any) -> str:
    """Text of slices; ``(50, 80)`` and ``(50, 80, 5)`` mean what ``range`` and ``slice`` do."""
    if isinstance(value, range):
        value = (value.start, value.stop, value.step)
    if isinstance(value, tuple | list) and len(value) in (2, 3) and all(map(_is_whole, value)):
        return ":".join("" if part is None else str(part) for part in value)
    if isinstance(value, str) or (_is_whole(value) and value is not None):
        return str(value)
    raise OptionError("slices", f"{value!r} is not FIRST:LAST, FIRST:LAST:STEP or one number.")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return value is None or (isinstance(value, Integral) and not isinstance(value, bool))


def make_options(given: OptionFields | Mapping[str, Any]) -> Options:
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
    if given.get("planes") and given.get("axis") is not None:
        raise OptionError("planes", "contradicts axis; choose one.")
    return Options(**given)


def parse_planes(planes: str | Sequence[str]) -> tuple[Axis, ...]:
    """The axes that ``axial+coronal`` names, or that are given one by one.

    Raises:
        OptionError: a word that is not an axis, or an axis that is named twice.

    Example:
        >>> parse_planes("axial+sagittal")
        ('axial', 'sagittal')
    """
    names = [name.strip() for name in planes.split("+")] if isinstance(planes, str) and planes else [*planes]
    known = get_args(Axis)
    for name in names:
        if name not in known:
            raise OptionError(
                "planes", f"{name!r} is not one of {', '.join(known)}.{nearest(str(name), known)}"
            )
    if len(set(names)) < len(names):
        raise OptionError("planes", f"{'+'.join(names)} names a plane twice.")
    return cast(tuple[Axis, ...], tuple(names))


def parse_slices(text: str | None) -> slice | None:
    """Turn ``"50:80"``, ``"50:80:5"``, ``":20"`` or ``"12"`` into a slice; ``None`` stays ``None`` and takes all.

    Raises:
        OptionError: anything else.

    Example:
        >>> list(range(100))[parse_slices("50:80:10")]
        [50, 60, 70]
    """
    if text is None:
        return None
    try:
        numbers = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None and numbers[0] >= 0:
        return slice(numbers[0], numbers[0] + 1)
    if len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[2] == 0):
        raise OptionError("slices", f"{text!r} is not FIRST:LAST, FIRST:LAST:STEP or one number.")
    return slice(*numbers)


def format_slices(chosen: object) -> str | None:
    """The inverse of :func:`parse_slices`.

    Example:
        >>> format_slices(slice(50, 80)), format_slices(slice(None, 20, 2))
        ('50:80', ':20:2')
    """
    if not isinstance(chosen, slice):
        return None if chosen is None else str(chosen)
    parts = [chosen.start, chosen.stop, *([] if chosen.step is None else [chosen.step])]
    return ":".join("" if part is None else str(part) for part in parts)


def choose_device(name: str) -> str:
    """Turn ``auto`` into what the machine has, and reject a device that it does not have.

    Raises:
        OptionError: an unknown device, CUDA where there is none, or a device that cannot compute (``meta``).
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OptionError("device", f"{name!r} is not auto, cpu, cuda or cuda:N.") from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise OptionError(
            "device", f"{name} is not available: this machine has {count} CUDA devices; use cpu."
        )
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise OptionError("device", f"{name} cannot compute on this machine; use cpu.") from error
    return str(device)


def choose_batch_size(pixels: int, device: str) -> int:
    """Images per batch for images of so many pixels: enough to fill the device, never more than 256.

    Example:
        >>> choose_batch_size(256 * 256, "cpu")
        16
    """
    budget = PIXEL_BUDGET if device == "cpu" else 4 * PIXEL_BUDGET
    return max(1, min(256, budget // max(1, pixels)))
