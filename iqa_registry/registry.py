"""The registry: from ``"ssim:window=7"`` to a ready metric.

It is built by :func:`build_registry`, never kept as a module global; each caller and each test has its own. Everything
is resolved while it is built: reading it afterwards changes nothing.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from iqa_registry import plugins
from iqa_registry.errors import (
    IQAError,
    MissingExtraError,
    PluginError,
    SpecError,
    UnknownNameError,
    UsageError,
    nearest,
)
from iqa_registry.isolation import isolated
from iqa_registry.naming import canonical, similar
from iqa_registry.parameters import (
    INJECTED,
    format_reference,
    parameter_model,
    parse_reference,
    validate_parameters,
)
from iqa_registry.settings import read_settings, settings_record
from iqa_registry.specs import (
    KINDS,
    Configuration,
    Origin,
    Registered,
    RegisteredDataset,
    RegisteredMetric,
    RegisteredRanker,
    RegisteredSegmenter,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from iqa_registry.datasets import Dataset
    from iqa_registry.metrics import Metric
    from iqa_registry.ranker import Ranker
    from iqa_registry.segmenter import Segmenter
    from iqa_registry.weights import WeightStore

S = TypeVar("S", bound=Registered)
F = TypeVar("F", RegisteredRanker, RegisteredSegmenter, RegisteredDataset)
FactorySpec = RegisteredMetric | RegisteredRanker | RegisteredSegmenter | RegisteredDataset


@dataclass(frozen=True, slots=True)
class ResolvedMetric:
    """A metric name with its declaration and every parameter filled in, not yet built.

    Attributes:
        text: what it was asked for by: name and given parameters.
        spec: the declaration.
        parameters: every parameter with its value, defaults included.
    """

    text: str
    spec: RegisteredMetric
    parameters: Mapping[str, Any]

    @property
    def configuration(self) -> str:
        """Name and every parameter that has a value, for example ``ssim:dimensions=2,window=11``."""
        return format_reference(self.spec.name, self.parameters)

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the weight files that this configuration needs; a path where a parameter gives one."""
        return tuple(name.format(**self.parameters) for name in self.spec.weights)


class Registry:
    """All metrics, rankers, segmenters, datasets, weights and commands of the loaded plugins.

    Args:
        records: the loaded plugins, see :func:`iqa_registry.plugins.load_plugins`; configurations in them that
            cannot be resolved get their failure.
        settings: the contents of ``iqa.toml``.
        strict: raise for a configuration that cannot be resolved.

    Attributes:
        plugins: one record per plugin, with what failed and why.
        kinds: for each word of :data:`~iqa_registry.specs.KINDS`, the specs by name, sorted.
        commands: subcommands that plugins contribute, by name, sorted.

    Raises:
        UsageError: wrong tables in the settings.
        PluginError: in strict mode, a configuration that cannot be resolved.
    """

    def __init__(
        self,
        records: list[plugins.PluginRecord],
        settings: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> None:
        self.plugins = records
        metrics = _resolve_configurations(records, settings or {}, strict)
        self.kinds: dict[str, dict[str, Any]] = {
            word: dict(sorted((metrics if kind is RegisteredMetric else self._of(kind.noun)).items()))
            for word, kind in KINDS.items()
        }
        self.commands: dict[str, plugins.Command] = dict(sorted(self._of("command").items()))

    def _of(self, kind: str) -> dict[str, Any]:
        return {
            item.name: item.value
            for record in self.plugins
            for item in record.contributions
            if item.kind == kind and item.failure is None
        }

    @property
    def metrics(self) -> dict[str, RegisteredMetric]:
        """Metric specs by name, sorted; configurations with what they take from their base."""
        return self.kinds["metrics"]

    @property
    def rankers(self) -> dict[str, RegisteredRanker]:
        """Ranker specs by name, sorted."""
        return self.kinds["rankers"]

    @property
    def segmenters(self) -> dict[str, RegisteredSegmenter]:
        """Segmenter specs by name, sorted."""
        return self.kinds["segmenters"]

    @property
    def datasets(self) -> dict[str, RegisteredDataset]:
        """Dataset specs by name, sorted."""
        return self.kinds["datasets"]

    @cached_property
    def weights(self) -> WeightStore:
        """The weight files of all plugins and the cache that holds them."""
        from iqa_registry.weights import WeightStore

        return WeightStore(self.kinds["weights"])

    def metric_spec(self, text: str) -> RegisteredMetric:
        """The declaration of a metric that may have parameters, which are not looked at.

        It reports a wrong name without importing torch, as checking the parameters would: they are checked against the
        signature of the factory.

        Raises:
            UnknownNameError: no such metric; the nearest names are offered.

        Example:
            >>> build_registry().metric_spec("ssim:window=7").identity_score
            1.0
        """
        return find(self.metrics, parse_reference(text)[0], "metrics")

    def resolve_metric(self, text: str) -> ResolvedMetric:
        """Check a metric string without building the metric.

        Raises:
            UnknownNameError: no such metric; the nearest names are offered.
            ParameterError: an unknown parameter or a value that it does not take.
            MissingExtraError: the metric needs a package that is not installed.
        """
        spec = self.metric_spec(text)
        name, given = spec.name, parse_reference(text)[1]
        values = validate_parameters(name, self.parameters(spec), {**spec.defaults, **given})
        return ResolvedMetric(format_reference(name, given), spec, values)

    def factory(self, spec: FactorySpec) -> Callable[..., Any]:
        """What builds it; imports the factory's module."""
        found: Callable[..., Any] = _import(spec.factory, spec)
        return found

    def parameters(self, spec: FactorySpec) -> type[BaseModel]:
        """The pydantic model of what follows the colon; imports the factory's module."""
        explicit = _import(spec.parameters, spec) if spec.parameters else None
        return parameter_model(self.factory(spec), explicit)

    def metric(self, text: str | ResolvedMetric, device: str = "cpu") -> Metric:
        """Build the metric ``NAME`` or ``NAME:KEY=VALUE,...``, ready to score on ``device``.

        Raises:
            UnknownNameError, ParameterError, MissingExtraError: see :meth:`resolve_metric`.
            WeightsError: a weight file is missing or is not what was declared.
            PluginError: its factory fails in another way, or does not give a metric.
        """
        from iqa_registry.weights import recording

        resolved = text if isinstance(text, ResolvedMetric) else self.resolve_metric(text)
        # It imports torch, which a wrong name is reported without.
        from iqa_registry.metrics import Metric

        with recording() as used:
            metric: Metric = self._build(resolved.spec, resolved.parameters)
        if not isinstance(metric, Metric):
            raise PluginError(
                f"{resolved.spec.name}: its factory gave {type(metric).__name__}, expected a Metric "
                f"({resolved.spec.origin})."
            )
        metric.weights_used = used
        metric.text = resolved.text
        metric.spec = resolved.spec
        metric.configuration = resolved.configuration
        with _told(resolved.spec):
            return metric.eval().requires_grad_(False).to(_known_device(device))

    def ranker(self, text: str) -> Ranker:
        """Build the ranker ``NAME`` or ``NAME:KEY=VALUE,...``."""
        spec, values = self._resolve(text, self.rankers, "rankers")
        ranker: Ranker = self._build(spec, values)
        ranker.spec = spec
        return ranker

    def segmenter(self, text: str) -> Segmenter:
        """Build the segmenter ``NAME`` or ``NAME:KEY=VALUE,...``."""
        spec, values = self._resolve(text, self.segmenters, "segmenters")
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
        spec, values = self._resolve(text, self.datasets, "datasets")
        dataset: Dataset = self._build(spec, values)
        dataset.spec = spec
        return dataset

    def _resolve(self, text: str, known: Mapping[str, F], kind: str) -> tuple[F, dict[str, Any]]:
        name, given = parse_reference(text)
        spec = find(known, name, kind)
        return spec, validate_parameters(spec.name, self.parameters(spec), given)

    def _build(self, spec: FactorySpec, values: Mapping[str, Any]) -> Any:
        factory = self.factory(spec)
        takes = inspect.signature(factory).parameters
        injected = {"registry": self, "spec": spec}
        extra = {name: injected[name] for name in INJECTED if name in takes}
        with _told(spec), isolated():
            return factory(**values, **extra)


def build_registry(
    extra: Iterable[plugins.Candidate] = (), config: Path | None = None, strict: bool | None = None
) -> Registry:
    """Load the installed plugins and the user's ``iqa.toml``.

    Args:
        extra: plugins in addition to the installed ones (for tests and notebooks).
        config: a settings file; by default ``IQA_CONFIG``, else ``iqa.toml`` in the current folder, else in
            the user's configuration folder.
        strict: fail on the first plugin or configuration that cannot be loaded; by default where
            ``IQA_STRICT_PLUGINS=1``.

    Raises:
        PluginError: in strict mode.
        UsageError: a settings file that is missing or malformed, or names what is not there.

    Example:
        >>> build_registry().metrics["ssim"].identity_score
        1.0
    """
    if strict is None:
        strict = os.environ.get("IQA_STRICT_PLUGINS", "") not in ("", "0")
    records = plugins.load_plugins([*plugins.find_candidates(), *extra], strict)
    return Registry(records, read_settings(config), strict)


def _resolve_configurations(
    records: list[plugins.PluginRecord], settings: Mapping[str, Any], strict: bool
) -> dict[str, RegisteredMetric]:
    """All metrics by name; a configuration in the records becomes a metric or gets its failure."""
    ours = settings_record(settings)
    declared: dict[str, tuple[plugins.Contribution, Origin]] = {}
    for record in [*records, ours]:
        for item in record.contributions:
            if item.kind != "metric":
                continue
            if item.name in declared:
                raise UsageError(f"{ours.origin}: {item.name!r} is the name of a metric; choose another one.")
            declared[item.name] = (item, record.origin)
    found = {}
    for name, (item, origin) in declared.items():
        try:
            found[name] = item.value = _metric(name, declared)
        except SpecError as error:
            if origin is ours.origin:
                raise UsageError(f"{origin}: {error}") from error
            item.failure = str(error)
            if strict:
                raise PluginError(f"plugin {origin}: {error}") from error
    return found


def _metric(
    name: str, declared: Mapping[str, tuple[plugins.Contribution, Origin]], seen: tuple[str, ...] = ()
) -> RegisteredMetric:
    item, origin = declared[name]
    spec: RegisteredMetric | Configuration = item.value
    if isinstance(spec, RegisteredMetric):
        return spec
    if name in seen:
        raise SpecError(f"metric {name!r} is based on itself: {' -> '.join([*seen, name])}.")
    if spec.base not in declared:
        raise SpecError(f"metric {name!r} is based on {spec.base!r}, which no plugin provides.")
    return _metric(spec.base, declared, (*seen, name)).configured(spec, origin)


def find(known: Mapping[str, S], name: str, kind: str) -> S:
    """The spec of that name, in any case; ``kind`` is the word that ``iqa list`` takes for its like.

    Raises:
        UnknownNameError: there is none; the nearest names are offered.
    """
    registered = canonical(known, name)
    if registered in known:
        return known[registered]
    command = "iqa list" if kind == "metrics" else f"iqa list {kind}"
    hint = similar(known, name) if kind == "metrics" else ""
    raise UnknownNameError(
        f"there is no {KINDS[kind].noun} {name!r}.{hint or nearest(name, known)} `{command}` shows all."
    )


def _import(target: str, spec: FactorySpec) -> Any:
    module, _, attribute = target.partition(":")
    with _told(spec), isolated():
        found = importlib.import_module(module)
    try:
        return getattr(found, attribute)
    except AttributeError as error:
        raise PluginError(f"{spec.name}: {module} has no {attribute!r} ({spec.origin}).") from error


def _known_device(name: str) -> Any:
    import torch

    try:
        return torch.device(name)
    except RuntimeError:
        raise UsageError(f"{name!r} is not a device. Use cpu, cuda or cuda:N.") from None


@contextmanager
def _told(spec: FactorySpec) -> Iterator[None]:
    """Say whose code it is that fails."""
    try:
        yield
    except IQAError:
        raise
    except ImportError as error:
        raise _missing(spec, error) from error
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())[:200]
        what = f"{type(error).__name__}: {text}".rstrip(": ")
        raise PluginError(f"{spec.name}: cannot start: {what} ({spec.origin}).") from error


def _missing(spec: FactorySpec, error: ImportError) -> Exception:
    distribution = spec.origin.distribution
    if spec.extra:
        return MissingExtraError.of(
            f"{spec.name} needs {error.name or 'a package'}", spec.extra, distribution
        )
    return PluginError(f"{spec.name}: cannot import {error.name or error} ({distribution}).")
