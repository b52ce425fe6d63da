"""The registry: from ``"kcross:branches=complex+structure"`` to a ready metric.

It is built by :func:`build_registry`, never kept as a module global; each caller and each test has its own.
"""

from __future__ import annotations

import importlib
import inspect
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from iqa_registry import plugins
from iqa_registry.errors import (
    MissingExtraError,
    PluginError,
    SpecError,
    UnknownNameError,
    UsageError,
    nearest,
)
from iqa_registry.parameters import (
    INJECTED,
    format_reference,
    parameter_model,
    parse_reference,
    validate_parameters,
)
from iqa_registry.specs import (
    UNDECLARED,
    DatasetSpec,
    MetricSpec,
    Origin,
    RankerSpec,
    SegmenterSpec,
    Spec,
    WeightSpec,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from iqa_registry.datasets import Dataset
    from iqa_registry.metrics import Metric
    from iqa_registry.ranker import Ranker
    from iqa_registry.segmenter import Segmenter
    from iqa_registry.weights import WeightStore

S = TypeVar("S", bound=Spec)
F = TypeVar("F", RankerSpec, SegmenterSpec, DatasetSpec)
FactorySpec = MetricSpec | RankerSpec | SegmenterSpec | DatasetSpec


@dataclass(frozen=True, slots=True)
class ResolvedMetric:
    """A metric name with its declaration and every parameter filled in, not yet built."""

    text: str
    spec: MetricSpec
    parameters: Mapping[str, Any]

    @property
    def configuration(self) -> str:
        """Name and every parameter that has a value, say ``ssim:dimensions=2,window=11``."""
        given = {name: value for name, value in self.parameters.items() if value is not None}
        return format_reference(self.spec.name, given)

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the weight files that this configuration needs."""
        return tuple(name.format(**self.parameters) for name in self.spec.weights)


class Registry:
    """All metrics, rankers, segmenters, datasets, weights and commands of the loaded plugins.

    Attributes:
        plugins: one record per plugin, failed ones with the reason.
    """

    def __init__(
        self, records: list[plugins.PluginRecord], settings: Mapping[str, Any] | None = None
    ) -> None:
        self.plugins = records
        self._settings = dict(settings or {})

    @cached_property
    def metrics(self) -> dict[str, MetricSpec]:
        """Metric specs by name, sorted; configurations with what they take from their base."""
        declared = {spec.name: spec for spec in plugins.metric_specs(self.plugins)}
        for spec in _settings_specs(self._settings):
            if spec.name in declared:
                raise UsageError(f"{spec.origin}: {spec.name!r} is the name of a metric; choose another one.")
            declared[spec.name] = spec
        resolved = {}
        for name in sorted(declared):
            try:
                resolved[name] = _inherit(declared[name], declared)
            except SpecError as error:
                self._fail(declared[name], error)
        return resolved

    def _fail(self, spec: MetricSpec, error: SpecError) -> None:
        """A configuration of something that is not there: its plugin is listed with the reason."""
        record = next((item for item in self.plugins if item.origin == spec.origin), None)
        if record is None:
            raise UsageError(f"{spec.origin}: {error}") from error
        record.failure = str(error)

    @cached_property
    def rankers(self) -> dict[str, RankerSpec]:
        """Ranker specs by name, sorted."""
        return self._specs(RankerSpec)

    @cached_property
    def segmenters(self) -> dict[str, SegmenterSpec]:
        """Segmenter specs by name, sorted."""
        return self._specs(SegmenterSpec)

    @cached_property
    def datasets(self) -> dict[str, DatasetSpec]:
        """Dataset specs by name, sorted."""
        return self._specs(DatasetSpec)

    @cached_property
    def commands(self) -> dict[str, plugins.Command]:
        """Subcommands that plugins contribute, by name, sorted."""
        found = {item.name: item for record in self.plugins for item in record.commands}
        return dict(sorted(found.items()))

    @cached_property
    def weights(self) -> WeightStore:
        """The weight files of all plugins and the cache that holds them."""
        from iqa_registry.weights import WeightStore

        return WeightStore(self._specs(WeightSpec))

    def _specs(self, kind: type[S]) -> dict[str, S]:
        found = {
            spec.name: spec for record in self.plugins for spec in record.specs if isinstance(spec, kind)
        }
        return dict(sorted(found.items()))

    def resolve_metric(self, text: str) -> ResolvedMetric:
        """Check a metric string without building the metric.

        Raises:
            UnknownNameError: no such metric; the nearest names are offered.
            ParameterError: an unknown parameter or a value that it does not take.
            MissingExtraError: the metric needs a package that is not installed.
        """
        name, given = parse_reference(text)
        spec = find(self.metrics, name, "metric", "iqa list")
        values = validate_parameters(name, self.parameters(spec), {**spec.defaults, **given})
        return ResolvedMetric(format_reference(name, given), spec, values)

    def parameters(self, spec: FactorySpec) -> type[BaseModel]:
        """The pydantic model of what follows the colon; imports the factory's module."""
        explicit = _import(spec.parameters, spec) if spec.parameters else None
        return parameter_model(_import(spec.factory, spec), explicit)

    def metric(self, text: str | ResolvedMetric, device: str = "cpu") -> Metric:
        """Build the metric ``NAME`` or ``NAME:KEY=VALUE,...``, ready to score on ``device``.

        Raises:
            UnknownNameError, ParameterError, MissingExtraError: see :meth:`resolve_metric`.
            WeightsError: a weight file is missing or is not what was declared.
        """
        from iqa_registry.weights import recording

        resolved = text if isinstance(text, ResolvedMetric) else self.resolve_metric(text)
        with recording() as used:
            metric: Metric = self._build(resolved.spec, resolved.parameters)
        metric.weights_used = used
        metric.spec = resolved.spec
        metric.configuration = resolved.configuration
        return metric.eval().requires_grad_(False).to(device)

    def ranker(self, text: str) -> Ranker:
        """Build the ranker ``NAME`` or ``NAME:KEY=VALUE,...``."""
        spec, values = self._resolve(text, self.rankers, "ranker")
        ranker: Ranker = self._build(spec, values)
        ranker.spec = spec
        return ranker

    def segmenter(self, text: str) -> Segmenter:
        """Build the segmenter ``NAME`` or ``NAME:KEY=VALUE,...``."""
        spec, values = self._resolve(text, self.segmenters, "segmenter")
        segmenter: Segmenter = self._build(spec, values)
        segmenter.spec = spec
        return segmenter

    def dataset(self, text: str) -> Dataset:
        """Open the dataset ``NAME:PATH`` or ``NAME:KEY=VALUE,...``.

        Raises:
            UnknownNameError: no such dataset; the nearest names are offered.
            ParameterError: an unknown parameter or a value that it does not take.
            MissingExtraError: it needs a package that is not installed.
        """
        spec, values = self._resolve(text, self.datasets, "dataset", "iqa datasets list")
        dataset: Dataset = self._build(spec, values)
        dataset.spec = spec
        return dataset

    def _resolve(
        self, text: str, known: Mapping[str, F], kind: str, command: str = "iqa plugins"
    ) -> tuple[F, dict[str, Any]]:
        name, given = parse_reference(text)
        spec = find(known, name, kind, command)
        return spec, validate_parameters(name, self.parameters(spec), given)

    def _build(self, spec: FactorySpec, values: Mapping[str, Any]) -> Any:
        factory = _import(spec.factory, spec)
        takes = inspect.signature(factory).parameters
        injected = {"registry": self, "spec": spec}
        extra = {name: injected[name] for name in INJECTED if name in takes}
        try:
            return factory(**values, **extra)
        except ImportError as error:
            raise _missing(spec, error) from error


def build_registry(
    extra: Iterable[plugins.Candidate] = (), config: Path | None = None, strict: bool | None = None
) -> Registry:
    """Load the installed plugins and the user's ``iqa.toml``.

    Args:
        extra: plugins beside the installed ones (for tests and notebooks).
        config: a settings file; by default ``IQA_CONFIG``, else ``iqa.toml`` in the current folder, else in
            the user's configuration folder.
        strict: fail on the first plugin that cannot be loaded; by default where ``IQA_STRICT_PLUGINS=1``.

    Raises:
        PluginError: in strict mode.
        UsageError: a settings file that is missing or malformed.

    Example:
        >>> build_registry().metrics["ssim"].identity_score
        1.0
    """
    if strict is None:
        strict = os.environ.get("IQA_STRICT_PLUGINS", "") not in ("", "0")
    records = plugins.load_plugins([*plugins.find_candidates(), *extra], strict)
    return Registry(records, read_settings(config))


def read_settings(path: Path | None = None) -> dict[str, Any]:
    """Read ``iqa.toml``; an empty dict where there is none."""
    if path is None and os.environ.get("IQA_CONFIG"):
        path = Path(os.environ["IQA_CONFIG"])
    if path is None:
        path = next((item for item in _settings_places() if item.is_file()), None)
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            return {**tomllib.load(file), "path": str(path)}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error


def _settings_places() -> list[Path]:
    import platformdirs

    return [Path("iqa.toml"), Path(platformdirs.user_config_dir("iqa-registry")) / "iqa.toml"]


def _settings_specs(settings: Mapping[str, Any]) -> list[MetricSpec]:
    origin = Origin("user settings", str(settings.get("path", "")), "iqa.toml")
    specs = []
    tables = settings.get("metrics", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{settings.get('path')}: metrics must be tables, [metrics.NAME].")
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("base"), str):
            raise UsageError(f'{settings.get("path")}: [metrics.{name}] needs base = "NAME".')
        defaults = {key: value for key, value in table.items() if key not in ("base", "summary")}
        summary = table.get("summary", UNDECLARED)
        spec = MetricSpec(name=name, summary=summary, base=table["base"], defaults=defaults, origin=origin)
        try:
            spec.check()
        except SpecError as error:
            raise UsageError(f"{settings.get('path')}: {error}") from error
        specs.append(spec)
    return specs


def _inherit(spec: MetricSpec, declared: Mapping[str, MetricSpec], seen: tuple[str, ...] = ()) -> MetricSpec:
    if spec.base is None:
        return spec
    if spec.name in seen:
        raise SpecError(f"metric {spec.name!r} is based on itself: {' -> '.join([*seen, spec.name])}.")
    if spec.base not in declared:
        raise SpecError(f"metric {spec.name!r} is based on {spec.base!r}, which no plugin provides.")
    return spec.configured(_inherit(declared[spec.base], declared, (*seen, spec.name)))


def find(known: Mapping[str, S], name: str, kind: str, command: str) -> S:
    """The spec of that name; ``command`` is what lists them all.

    Raises:
        UnknownNameError: there is none; the nearest names are offered.
    """
    if name in known:
        return known[name]
    raise UnknownNameError(f"there is no {kind} {name!r}.{nearest(name, known)} `{command}` shows all.")


def _import(target: str, spec: FactorySpec) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise _missing(spec, error) from error
    except AttributeError as error:
        raise PluginError(f"{spec.name}: {module} has no {attribute!r} ({spec.origin}).") from error


def _missing(spec: FactorySpec, error: ImportError) -> Exception:
    distribution = spec.origin.distribution if spec.origin else plugins.OWN_DISTRIBUTION
    if spec.extra:
        return MissingExtraError(
            f'{spec.name} needs {error.name or "a package"}: pip install "{distribution}[{spec.extra}]"'
        )
    return PluginError(f"{spec.name}: cannot import {error.name or error} ({distribution}).")
