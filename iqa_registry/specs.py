"""Specs: what a plugin declares about a metric, ranker, segmenter, dataset or weight file.

A spec is a frozen dataclass and imports nothing heavy, so that listing every metric stays fast. The fields that
say what a score *means* (direction, range, value at equality, mask support ...) have no default: a spec that
lacks one is refused, with the field's name, when it is registered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from iqa_registry.errors import SpecError

MetricKind = Literal["full-reference", "no-reference", "distribution"]
MaskSupport = Literal["exact", "approximate", "none"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*(/[a-z0-9][a-z0-9_.+-]*)?")
_FACTORY = re.compile(r"[\w.]+:\w+")


class _Undeclared:
    """The value of a field that must be declared and was not."""

    def __repr__(self) -> str:
        return "UNDECLARED"

    def __reduce__(self) -> str:
        # The name of the module's constant, so that a copy out of a pickle is the same object.
        return "UNDECLARED"


UNDECLARED: Any = _Undeclared()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who contributed a spec: the installed distribution, its version, and the plugin's entry-point name."""

    distribution: str
    version: str
    plugin: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.plugin})"


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SpecError(f"{kind} name {name!r}: use lower-case letters, digits and - _ . +, at most one '/'.")


def _check_factory(kind: str, name: str, factory: str) -> None:
    if not isinstance(factory, str) or not _FACTORY.fullmatch(factory):
        raise SpecError(f"{kind} {name!r}: factory is {factory!r}, expected 'package.module:callable'.")


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSpec:
    """The declaration of a metric, or, with ``base``, of a named configuration of another one.

    Attributes:
        name: what users type after ``--metric``.
        summary: one line; what the score compares.
        kind: ``full-reference``, ``no-reference`` or ``distribution``.
        dimensions: the spatial dimensions it can work in, ``(2,)`` or ``(2, 3)``.
        higher_is_better: the direction.
        score_range: lowest and highest possible score; ``math.inf`` where there is no bound.
        identity_score: the score of an image against itself (``None`` where that has no fixed value).
        minimum_size: least length of a side in pixels at the default parameters.
        mask_support: ``exact`` (pixels outside the mask have no influence), ``approximate`` or ``none``.
        supports_gradient: whether the score can be differentiated with respect to the synthesized image.
        symmetric: whether swapping the two images leaves the score as it is.
        validated_on: the images that its authors validated it on (``natural RGB``, ``brain MRI`` ...).
        licence: SPDX identifier of the code.
        reference: DOI or arXiv identifier of its source.
        factory: ``"package.module:callable"``; called with the parameters as keyword arguments, and with
            ``registry`` and ``spec`` if its signature names them. The typed signature is also the list of
            parameters, unless ``parameters`` names a pydantic model.
        parameters: ``"package.module:Model"``, only where the factory's signature does not say it all.
        weights: names of the weight files it needs; ``{net}`` stands for the parameter ``net``.
        weights_licence: SPDX identifier of those files.
        extra: the pip extra it needs, say ``pyiqa``.
        uses_labels: names of the labels that ``encode`` takes as keywords, say ``("lesions",)``.
        provides_map: whether :meth:`~iqa_registry.metrics.FullReferenceMetric.local_map` is implemented.
        base: name of the metric that this is a configuration of.
        defaults: the parameters that the configuration sets.
        origin: filled in by the registry.

    Example:
        >>> spec = MetricSpec(name="lpips-vgg", base="lpips", defaults={"net": "vgg"})
        >>> spec.is_configuration, spec.defaults["net"]
        (True, 'vgg')
    """

    name: str
    summary: str = UNDECLARED
    kind: MetricKind = UNDECLARED
    dimensions: tuple[int, ...] = UNDECLARED
    higher_is_better: bool = UNDECLARED
    score_range: tuple[float, float] = UNDECLARED
    identity_score: float | None = UNDECLARED
    minimum_size: int = UNDECLARED
    mask_support: MaskSupport = UNDECLARED
    supports_gradient: bool = UNDECLARED
    symmetric: bool = UNDECLARED
    validated_on: str = UNDECLARED
    licence: str = UNDECLARED
    reference: str = UNDECLARED
    factory: str = UNDECLARED
    parameters: str | None = None
    weights: tuple[str, ...] = ()
    weights_licence: str | None = None
    extra: str | None = None
    uses_labels: tuple[str, ...] = ()
    provides_map: bool = False
    base: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None

    @property
    def is_configuration(self) -> bool:
        """Whether this names parameters of another metric instead of being one."""
        return self.base is not None

    def check(self) -> None:
        """Raise :class:`SpecError` naming the first field that is missing or contradicts another."""
        _check_name("metric", self.name)
        if self.is_configuration:
            return
        missing = [item.name for item in fields(self) if getattr(self, item.name) is UNDECLARED]
        if missing:
            raise SpecError(f"metric {self.name!r} does not declare {', '.join(missing)}.")
        _check_factory("metric", self.name, self.factory)
        self._check_values()

    def _check_values(self) -> None:
        problems = {
            "kind": self.kind in ("full-reference", "no-reference", "distribution"),
            "dimensions": bool(self.dimensions) and set(self.dimensions) <= {2, 3},
            "score_range": len(self.score_range) == 2 and self.score_range[0] < self.score_range[1],
            "identity_score": self.identity_score is None
            or self.score_range[0] <= self.identity_score <= self.score_range[1],
            "minimum_size": self.minimum_size >= 1,
            "mask_support": self.mask_support in ("exact", "approximate", "none"),
            "weights_licence": not self.weights or bool(self.weights_licence),
        }
        wrong = [name for name, fine in problems.items() if not fine]
        if wrong:
            shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in wrong)
            raise SpecError(f"metric {self.name!r}: {shown} cannot be right.")

    def configured(self, base: MetricSpec) -> MetricSpec:
        """Return this configuration with everything it does not declare taken from ``base``."""
        declared = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name
            not in (
                "parameters",
                "weights",
                "weights_licence",
                "extra",
                "uses_labels",
                "provides_map",
                "defaults",
            )
            and getattr(self, item.name) is not UNDECLARED
        }
        return replace(base, **declared, defaults={**base.defaults, **self.defaults})


@dataclass(frozen=True, kw_only=True, slots=True)
class _NamedFactory:
    """What rankers, segmenters and datasets have in common."""

    name: str
    summary: str
    factory: str
    parameters: str | None = None
    extra: str | None = None
    origin: Origin | None = None

    def check(self) -> None:
        """Raise :class:`SpecError` if the name or the factory has not the right form."""
        kind = type(self).__name__.removesuffix("Spec").lower()
        _check_name(kind, self.name)
        _check_factory(kind, self.name, self.factory)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankerSpec(_NamedFactory):
    """A ranker: brings a metric's scores onto the raters' scale (see :mod:`iqa_registry.ranker`)."""

    reference: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterSpec(_NamedFactory):
    """A segmenter: ``factory(...)`` gives a :class:`~iqa_registry.segmenter.Segmenter`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec(_NamedFactory):
    """A dataset: ``factory(path, ...)`` gives an object whose ``pairs()`` yields image pairs lazily."""

    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightSpec:
    """A named weight file.

    Attributes:
        name: what users type after ``iqa weights fetch``.
        summary: one line; what it holds.
        sha256: hash of the tensors (see :func:`iqa_registry.weights.fingerprint`), so that the same numbers
            are recognised in whatever container they come; hexadecimal, all of it or its first digits.
        size: bytes of the file in the cache, about.
        licence: SPDX identifier, or a plain statement of what is known.
        sources: where it can be had, in the order in which they are tried (see :mod:`iqa_registry.weights`).
        hashed: ``file`` where ``sha256`` is the hash of the published file itself instead of its tensors; the
            file is then kept as it is, and all sources must deliver that very file.
        origin: filled in by the registry.
    """

    name: str
    summary: str
    sha256: str
    size: int
    licence: str
    sources: tuple[Any, ...]
    hashed: Literal["tensors", "file"] = "tensors"
    origin: Origin | None = None

    def check(self) -> None:
        """Raise :class:`SpecError` if the name, the hash or the sources have not the right form."""
        _check_name("weights", self.name)
        if not re.fullmatch(r"[0-9a-f]{8,64}", self.sha256):
            raise SpecError(f"weights {self.name!r}: sha256 is {self.sha256!r}, expected hexadecimal digits.")
        if not self.sources:
            raise SpecError(f"weights {self.name!r} declare no source.")


Spec = MetricSpec | RankerSpec | SegmenterSpec | DatasetSpec | WeightSpec
