"""What can be mapped, and on which scale: errors, which need no metric, and every metric that provides a map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from iqa_registry.errors import IQAError, UnknownNameError, UsageError, nearest
from iqa_registry.local_maps.scale import Scale
from iqa_registry.metrics import FullReferenceMetric
from iqa_registry.naming import canonical, similar, split_metrics
from iqa_registry.parameters import parse_reference
from iqa_registry.registry import Registry


class AbsoluteError(FullReferenceMetric):
    """Absolute difference of each pixel, the mean over channels; 0 where the images are equal.

    Example:
        >>> import torch
        >>> images = torch.full((1, 1, 2, 2), 0.25)
        >>> AbsoluteError().local_map(images, images + 0.5, (2, 2)).mean().item()
        0.5
    """

    def local_map(self, synthesized: Tensor, reference: Tensor, size: tuple[int, ...]) -> Tensor:
        """``(N, 1, H, W)`` in [0, 1]."""
        return (synthesized - reference).abs().mean(dim=1, keepdim=True)


class SignedError(FullReferenceMetric):
    """Synthesized minus reference at each pixel, the mean over channels: above 0 where it is too bright.

    Example:
        >>> import torch
        >>> images = torch.full((1, 1, 2, 2), 0.25)
        >>> SignedError().local_map(images, images + 0.5, (2, 2)).mean().item()
        -0.5
    """

    def local_map(self, synthesized: Tensor, reference: Tensor, size: tuple[int, ...]) -> Tensor:
        """``(N, 1, H, W)`` in [-1, 1]."""
        return (synthesized - reference).mean(dim=1, keepdim=True)


ERRORS = {"error": AbsoluteError, "signed-error": SignedError}
"""The maps that need no metric."""


SIMILARITY = Scale(1.0, 0.0)
DIFFERENCE = Scale(0.0, 0.5)
SIGNED = Scale(0.0, 0.5, signed=True)


def scale_for(metric: FullReferenceMetric, reference: Tensor) -> Scale:
    """The fixed scale of a metric's map, found by the map's value on an image against itself.

    A map that is 1 there is a similarity and drawn from 1 (black) to 0; one that is 0 there is a difference and drawn
    from 0 (black) to 0.5. The signed error is drawn from -0.5 (blue) over 0 (black) to 0.5 (orange).

    Args:
        metric: gives the map.
        reference: ``(N, C, H, W)`` in [0, 1], any image.

    Raises:
        IQAError: the map of an image against itself is neither 0 nor 1; ``--limits`` is needed.
    """
    if isinstance(metric, SignedError):
        return SIGNED
    features = metric.encode(reference)
    equal = float(metric.local_map(features, features, tuple(reference.shape[2:])).nanmedian())
    for scale in (SIMILARITY, DIFFERENCE):
        if abs(equal - scale.equal) < 0.05:
            return scale
    raise IQAError(
        f"the map of {metric.label} is {equal:.4g} where images are equal, neither 0 nor 1; "
        f"say what to draw with --limits {metric.label}=EQUAL,FAR."
    )


def parse_limits(texts: Iterable[str]) -> dict[str, Scale]:
    """Parse ``METRIC=EQUAL,FAR``: the values that are black and brightest.

    Raises:
        UsageError: another form, equal values, or a metric given twice.

    Example:
        >>> parse_limits(["error=0,0.2"])["error"].high
        0.2
    """
    found: dict[str, Scale] = {}
    for text in texts:
        name, equals, rest = text.rpartition("=")
        try:
            equal, far = (float(part) for part in rest.split(","))
        except ValueError:
            equal = far = 0.0
        if not equals or not name or not abs(far - equal) > 0 or abs(far - equal) == float("inf"):
            raise UsageError(f"--limits {text!r}: expected METRIC=EQUAL,FAR, say error=0,0.2 or ssim=1,0.5.")
        if name in found:
            raise UsageError(f"--limits: {name} is given twice.")
        found[name] = Scale(equal, far, signed=name == "signed-error")
    return found


def names_with_map(registry: Registry) -> list[str]:
    """All that can be mapped: the errors, then every registered metric that provides a map."""
    return [*ERRORS, *(name for name, spec in registry.metrics.items() if spec.provides_map)]


def map_names(registry: Registry, texts: Iterable[str]) -> list[str]:
    """What is to be mapped, each once and as it is registered; a text may name several, in any case.

    Example:
        >>> from iqa_registry.registry import build_registry
        >>> map_names(build_registry(), ["Error,SSIM", "ssim:window=7"])
        ['error', 'ssim', 'ssim:window=7']
    """
    known = {*ERRORS, *registry.metrics}
    found = []
    for text in split_metrics(texts, known):
        name, colon, rest = text.partition(":")
        found.append(f"{canonical(known, name)}{colon}{rest}")
    return list(dict.fromkeys(found))


@dataclass(slots=True)
class StartedMaps:
    """The maps of a run: the metrics that are ready by the text that asked for them, and why others are not."""

    ready: dict[str, FullReferenceMetric] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def start_maps(registry: Registry, names: Iterable[str], device: str) -> StartedMaps:
    """Build the metrics.

    Raises:
        UnknownNameError: no such metric.
        UsageError: a metric without a map (those that have one are named), or a wrong parameter.
    """
    started = StartedMaps()
    for text in map_names(registry, names):
        if text in ERRORS:
            started.ready[text] = ERRORS[text]()
            started.ready[text].text = text
            continue
        check_has_map(registry, text)
        try:
            metric = registry.metric(text, device)
        except UsageError:
            raise
        except IQAError as error:
            started.failed[text] = f"{text} cannot start: {error}"
            continue
        if not isinstance(metric, FullReferenceMetric):
            raise UsageError(f"{text} declares a map and is no full-reference metric.")
        started.ready[text] = metric
    return started


def check_has_map(registry: Registry, text: str) -> None:
    """Reject a metric without a map.

    Raises:
        UnknownNameError: nothing is registered under the name.
        UsageError: it has no map.
    """
    name, _ = parse_reference(text)
    known = names_with_map(registry)
    spec = registry.metrics.get(canonical(registry.metrics, name))
    if spec is None:
        hint = similar(registry.metrics, name) or nearest(name, known)
        raise UnknownNameError(f"there is no map {name!r}.{hint} There are {', '.join(known)}.")
    if not spec.provides_map:
        raise UsageError(f"{name} has no map; choose among {', '.join(known)}.")


def check_limits(given: Iterable[str], drawn: Iterable[str]) -> None:
    """Reject limits for a map that is not drawn.

    Raises:
        UsageError: names the map.
    """
    names = list(drawn)
    for name in given:
        if name not in names:
            raise UsageError(f"--limits names {name!r}, which is not drawn.{nearest(name, names)}")
