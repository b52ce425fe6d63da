"""Specs: what a plugin declares about a metric, ranker, segmenter, dataset or weight file.

A spec is a frozen dataclass and imports nothing heavy, so that listing every metric stays fast. The fields that say
what a score *means* (direction, range, value at equality, mask support ...) have no default: leaving one out raises a
:class:`TypeError` that names it, and the plugin is listed as failed with that field and the line.

What a plugin declares is one class (:class:`MetricSpec`), what the registry hands out is another
(:class:`RegisteredMetric`): the same fields and an :class:`Origin`, which is always known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

from iqa_registry.errors import SpecError

MetricKind = Literal["full-reference", "no-reference", "distribution"]
MaskSupport = Literal["exact", "approximate", "none"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*(/[a-z0-9][a-z0-9_.+-]*)?")
_FACTORY = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who contributed a spec: the installed distribution, its version, and the plugin's entry-point name.

    Example:
        >>> print(Origin("iqa-registry", "0.2.0", "iqa_classical"))
        iqa-registry 0.2.0 (iqa_classical)
    """

    distribution: str
    version: str
    plugin: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.plugin})"


def _check_name(noun: str, name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(f"{noun} name {name!r}: use lower-case letters, digits and - _ . +, at most one '/'.")


def _check_factory(noun: str, name: str, factory: str) -> None:
    if not isinstance(factory, str) or not _FACTORY.fullmatch(factory):
        raise SpecError(f"{noun} {name!r}: factory is {factory!r}, expected 'package.module:callable'.")


@dataclass(frozen=True, kw_only=True)  # no slots: torch.compile cannot read these before torch 2.7
class MetricSpec:
    """The declaration of a metric.

    Attributes:
        name: what users type after ``--metric``.
        summary: one line; what the score compares.
        kind: ``full-reference``, ``no-reference`` or ``distribution``.
        dimensions: the spatial dimensions it can work in, ``(2,)`` or ``(2, 3)``.
        higher_is_better: the direction.
        score_range: lowest and highest possible score; ``math.inf`` where there is no bound.
        identity_score: the score of an image against itself (``None`` where that has no fixed value).
        minimum_size: minimum length of a side in pixels at the default parameters.
        mask_support: ``exact`` (pixels outside the mask have no influence), ``approximate`` or ``none``.
        supports_gradient: whether the score can be differentiated with respect to the synthesized image.
        symmetric: whether swapping the two images leaves the score as it is.
        validated_on: the images that its authors validated it on (``natural RGB``, ``brain MRI`` ...).
        license: SPDX identifier of the code.
        reference: DOI or arXiv identifier of its source.
        factory: ``"package.module:callable"``; called with the parameters as keyword arguments, and with
            ``registry`` and ``spec`` if its signature names them. The typed signature is also the list of
            parameters, unless ``parameters`` names a pydantic model.
        parameters: ``"package.module:Model"``, only where the factory's signature does not say it all.
        weights: names of the weight files it needs; ``{net}`` is replaced by the parameter ``net``.
        weights_license: SPDX identifier of those files.
        extra: the pip extra it needs, for example ``pyiqa``.
        uses_labels: names of the labels that ``encode`` takes as keywords, for example ``("lesions",)``.
        provides_map: whether :meth:`~iqa_registry.metrics.FullReferenceMetric.local_map` is implemented.
        native_units: whether the score grows with the values' scale, as a mean error does, so that it can be given in
            the unit of the stored values too.

    Example:
        >>> spec = MetricSpec(
        ...     name="ncc", summary="normalized cross-correlation", kind="full-reference", dimensions=(2,),
        ...     higher_is_better=True, score_range=(-1, 1), identity_score=7, minimum_size=1, mask_support="exact",
        ...     supports_gradient=True, symmetric=True, validated_on="none", license="MIT",
        ...     reference="10.1109/42.730403", factory="my.ncc:NCC",
        ... )
        >>> spec.check()
        Traceback (most recent call last):
        ...
        iqa_registry.errors.SpecError: metric 'ncc': identity_score=7 cannot be right.
    """

    noun: ClassVar[str] = "metric"

    name: str
    summary: str
    kind: MetricKind
    dimensions: tuple[int, ...]
    higher_is_better: bool
    score_range: tuple[float, float]
    identity_score: float | None
    minimum_size: int
    mask_support: MaskSupport
    supports_gradient: bool
    symmetric: bool
    validated_on: str
    license: str
    reference: str
    factory: str
    parameters: str | None = None
    weights: tuple[str, ...] = ()
    weights_license: str | None = None
    extra: str | None = None
    uses_labels: tuple[str, ...] = ()
    provides_map: bool = False
    native_units: bool = False

    def check(self) -> None:
        """Raise :class:`SpecError` naming the fields that cannot be right."""
        _check_name(self.noun, self.name)
        _check_factory(self.noun, self.name, self.factory)
        problems = {
            "kind": self.kind in ("full-reference", "no-reference", "distribution"),
            "dimensions": bool(self.dimensions) and set(self.dimensions) <= {2, 3},
            "score_range": len(self.score_range) == 2 and self.score_range[0] < self.score_range[1],
            "identity_score": self.identity_score is None
            or self.score_range[0] <= self.identity_score <= self.score_range[1],
            "minimum_size": self.minimum_size >= 1,
            "mask_support": self.mask_support in ("exact", "approximate", "none"),
            "weights_license": not self.weights or bool(self.weights_license),
        }
        wrong = [name for name, fine in problems.items() if not fine]
        if wrong:
            shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in wrong)
            raise SpecError(f"metric {self.name!r}: {shown} cannot be right.")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A name for parameters of another metric; everything else is what that metric declares.

    Attributes:
        name: what users type after ``--metric``.
        base: name of the metric, or of another configuration.
        defaults: the parameters that it sets; users can still override them.
        summary: one line; that of ``base`` by default.

    Example:
        >>> Configuration("lpips-vgg", base="lpips", defaults={"net": "vgg"}).defaults["net"]
        'vgg'
    """

    noun: ClassVar[str] = "metric"

    name: str
    base: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    summary: str | None = None

    def check(self) -> None:
        """Raise :class:`SpecError` if the name or the base is not a name."""
        _check_name(self.noun, self.name)
        _check_name(f"metric {self.name!r}: base", self.base)


@dataclass(frozen=True, kw_only=True, slots=True)
class _NamedFactory:
    """What rankers, segmenters and datasets have in common."""

    noun: ClassVar[str]

    name: str
    summary: str
    factory: str
    parameters: str | None = None
    extra: str | None = None

    def check(self) -> None:
        """Raise :class:`SpecError` if the name or the factory does not have the right form."""
        _check_name(self.noun, self.name)
        _check_factory(self.noun, self.name, self.factory)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankerSpec(_NamedFactory):
    """A ranker: brings a metric's scores onto the raters' scale (see :mod:`iqa_registry.ranker`)."""

    noun: ClassVar[str] = "ranker"

    reference: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterSpec(_NamedFactory):
    """A segmenter: ``factory(...)`` gives a :class:`~iqa_registry.segmenter.Segmenter`."""

    noun: ClassVar[str] = "segmenter"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec(_NamedFactory):
    """A dataset: ``factory(path, ...)`` gives an object whose ``pairs()`` yields image pairs lazily."""

    noun: ClassVar[str] = "dataset"

    license: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightSpec:
    """A named weight file.

    Attributes:
        name: what users type after ``iqa weights fetch``.
        summary: one line; what it holds.
        sha256: hash of the tensors (see :func:`iqa_registry.weights.fingerprint`), so that the same numbers
            are recognized in whatever container they come; hexadecimal, all of it or its first digits.
        size: approximate size of the file in the cache in bytes.
        license: SPDX identifier, or a plain statement of what is known.
        sources: where it is available, in the order in which they are tried (see :mod:`iqa_registry.weights`).
        hashed: ``file`` where ``sha256`` is the hash of the published file itself instead of its tensors; the
            file is then kept as it is, and all sources must deliver that very file.
    """

    noun: ClassVar[str] = "weights"

    name: str
    summary: str
    sha256: str
    size: int
    license: str
    sources: tuple[Any, ...]
    hashed: Literal["tensors", "file"] = "tensors"

    def check(self) -> None:
        """Raise :class:`SpecError` if the name, the hash or the sources do not have the right form."""
        _check_name(self.noun, self.name)
        if not re.fullmatch(r"[0-9a-f]{8,64}", self.sha256):
            raise SpecError(f"weights {self.name!r}: sha256 is {self.sha256!r}, expected hexadecimal digits.")
        if not self.sources:
            raise SpecError(f"weights {self.name!r} declare no source.")


Spec = MetricSpec | Configuration | RankerSpec | SegmenterSpec | DatasetSpec | WeightSpec
"""What ``register`` takes."""


@dataclass(frozen=True, kw_only=True)
class RegisteredMetric(MetricSpec):
    """A metric as the registry hands it out.

    Attributes:
        origin: who contributed it.
        base: the metric that it is a configuration of; ``None`` for a metric of its own.
        defaults: the parameters that the configuration sets, those of its base included.
    """

    origin: Origin
    base: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def configured(self, configuration: Configuration, origin: Origin) -> RegisteredMetric:
        """The metric that ``configuration`` names, which is based on this one."""
        return replace(
            self,
            name=configuration.name,
            summary=configuration.summary or self.summary,
            base=configuration.base,
            defaults={**self.defaults, **configuration.defaults},
            origin=origin,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredRanker(RankerSpec):
    """A ranker as the registry hands it out."""

    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredSegmenter(SegmenterSpec):
    """A segmenter as the registry hands it out."""

    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredDataset(DatasetSpec):
    """A dataset as the registry hands it out."""

    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredWeights(WeightSpec):
    """A weight file as the registry hands it out."""

    origin: Origin


Registered = RegisteredMetric | RegisteredRanker | RegisteredSegmenter | RegisteredDataset | RegisteredWeights
"""What the registry hands out."""

KINDS: Mapping[str, type[Registered]] = {
    "metrics": RegisteredMetric,
    "rankers": RegisteredRanker,
    "segmenters": RegisteredSegmenter,
    "datasets": RegisteredDataset,
    "weights": RegisteredWeights,
}
"""The kinds of things that plugins declare, by the word that ``iqa list`` takes."""


def register(spec: Spec, origin: Origin) -> Registered | Configuration:
    """The spec with its origin; a configuration as it is, since it must be resolved first.

    Raises:
        SpecError: ``spec`` is not a spec, or a field of it cannot be right.

    Example:
        >>> spec = RankerSpec(name="levels", summary="Algorithm 4", reference="none", factory="my.ranker:Levels")
        >>> register(spec, Origin("my-package", "1.0", "mine")).origin.plugin
        'mine'
    """
    if not isinstance(spec, Spec):
        raise SpecError(f"register takes a spec of iqa_registry.specs, got {type(spec).__name__}.")
    spec.check()
    if isinstance(spec, Configuration):
        return spec
    kind = next(item for item in KINDS.values() if item.noun == spec.noun)
    declared = {item.name: getattr(spec, item.name) for item in fields(kind) if hasattr(spec, item.name)}
    return kind(**declared | {"origin": origin})
