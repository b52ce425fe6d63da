"""The conformance kit: does a metric do what the interface and its own declaration promise?

In a test suite, one line gives one test per check::

    test_ncc = conformance_tests("ncc", reference=numpy_ncc, atol=1e-6)

On the command line it is ``iqa plugin check ncc``. A metric that cannot pass a check declares that, with the reason, in
its attribute ``conformance_exceptions``; the check is then reported as exempt.

Example:
    >>> results = run_checks("mae")
    >>> print(results[1])
    identity: an image against itself gives 0
    >>> [item.name for item in results if item.status == "fail"]
    []
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from iqa_registry.errors import PluginError, UsageError
from iqa_registry.isolation import isolated
from iqa_registry.metrics import Metric
from iqa_registry.parameters import format_reference, parse_reference
from iqa_registry.registry import Registry, build_registry
from iqa_registry.testing import inputs, masks, module, scores, sets, surroundings
from iqa_registry.testing.reference import Function, Pixels, ReferenceFunction
from iqa_registry.testing.results import CheckResult, ConformanceError, Failed, Skipped
from iqa_registry.testing.subject import Subject, first_line

__all__ = [
    "CheckResult",
    "ConformanceError",
    "assert_conforms",
    "check_names",
    "conformance_tests",
    "run_checks",
]

Check = Callable[[Subject], str]

EVERY: tuple[Check, ...] = (
    module.declaration,
    scores.identity,
    scores.direction,
    scores.score_range,
    scores.order,
    scores.determinism,
    surroundings.surroundings,
    scores.constant_images,
    inputs.small_images,
    inputs.color,
    inputs.volumes,
    inputs.dtype,
    inputs.device,
    inputs.wrong_values,
    inputs.wrong_shapes,
    module.gradient,
    module.gradient_at_identity,
    module.autocast,
    module.pickling,
    module.bf16,
)
FULL_REFERENCE: tuple[Check, ...] = (
    scores.symmetry,
    scores.batch_size,
    module.encode_compare,
    module.local_map,
    masks.mask_rejected,
    masks.mask_full,
    masks.mask_outside,
    masks.mask_place,
    masks.mask_batch,
    masks.mask_empty,
    masks.mask_gradient,
)
CHECKS: dict[str, tuple[Check, ...]] = {
    "full-reference": (*EVERY, *FULL_REFERENCE),
    "no-reference": (*(check for check in EVERY if check is not scores.identity), scores.batch_size),
    "distribution": (*EVERY, scores.symmetry, sets.set_features, sets.set_merge, sets.set_count),
}
"""The checks that apply to each kind of metric, in the order in which they run."""


def check_names(kind: str) -> tuple[str, ...]:
    """The names of the checks for metrics of ``kind``, in the order in which they run.

    Example:
        >>> check_names("no-reference")[:3]
        ('declaration', 'direction', 'score range')
    """
    return tuple(map(_name, CHECKS[kind]))


def run_checks(metric: str | Metric, registry: Registry | None = None) -> list[CheckResult]:
    """Run every check that applies to a metric.

    Args:
        metric: ``NAME`` or ``NAME:KEY=VALUE,...`` of a registered metric; or an instance whose attribute ``spec``
            is set, for which the checks that need a second instance are skipped.
        registry: where to look up the name; by default a new registry of the installed plugins.

    Returns:
        One result per check. For a metric that cannot be built there is one result, ``construction``.

    Raises:
        UsageError: an unknown name or parameter, or an instance without a declaration.

    Example:
        >>> [item.status for item in run_checks("mae") if item.name == "batch size"]
        ['pass']
    """
    try:
        subject = _subject(metric, registry)
    except UsageError:
        raise
    except Exception as failure:
        error = failure.__cause__ if isinstance(failure, PluginError) and failure.__cause__ else failure
        return [CheckResult("construction", "fail", f"{type(error).__name__}: {first_line(error)}")]
    return [_run(check, subject) for check in CHECKS[subject.spec.kind]]


def assert_conforms(metric: str | Metric, registry: Registry | None = None) -> None:
    """Raise :class:`ConformanceError` that lists the failing checks, if there are any.

    Args:
        metric: see :func:`run_checks`.
        registry: where to look up the name.

    Raises:
        ConformanceError: at least one check fails.
        UsageError: an unknown name or parameter, or an instance without a declaration.

    Example:
        >>> assert_conforms("psnr")
    """
    results = run_checks(metric, registry)
    if any(item.status == "fail" for item in results):
        raise ConformanceError(metric if isinstance(metric, str) else metric.label, results)


def conformance_tests(
    *metrics: str,
    reference: Function | None = None,
    atol: float = 1e-5,
    rtol: float = 0.0,
    pairs: Mapping[str, tuple[Pixels, Pixels]] | None = None,
    registry: Registry | None = None,
) -> Callable[..., None]:
    """A pytest function with one test per metric and check. Assign it to a name that begins with ``test``.

    Args:
        metrics: names, see :func:`run_checks`.
        reference: an independent implementation, from two float64 images ``(H, W)`` in [0, 1] to the score. It gets
            volumes ``(D, H, W)`` for a metric of volumes, and a boolean array ``mask`` if it has that parameter.
        atol: how far a score may differ from that of ``reference``.
        rtol: how far it may differ in addition, relative to the expected score.
        pairs: your own images for ``reference``, by name: synthesized and reference, each ``(H, W)`` or ``(H, W, 3)``.
        registry: where to look up the names.

    Raises:
        UsageError: an unknown name.

    Example:
        >>> test_pixels = conformance_tests("mae", "psnr")
        >>> len(test_pixels.pytestmark[0].args[1])
        62
    """
    import pytest

    known = registry or build_registry()
    further = () if reference is None else (ReferenceFunction(reference, atol, rtol, pairs or {}).reference,)
    cases = [
        pytest.param(text, check, id=f"{text}-{_name(check).replace(' ', '-')}")
        for text in metrics
        for check in (*CHECKS[known.resolve_metric(text).spec.kind], *further)
    ]
    # Tests of one metric follow each other, so that one instance at a time is kept.
    build = lru_cache(maxsize=1)(lambda text: _subject(text, known))

    @pytest.mark.parametrize(("metric", "check"), cases)
    def test_conformance(metric: str, check: Check) -> None:
        result = _run(check, build(metric))
        if result.status == "skipped":
            pytest.skip(result.message)
        if result.status == "exempt":
            pytest.xfail(result.message)
        if result.status == "fail":
            raise ConformanceError(metric, [result])

    return test_conformance


def _subject(metric: str | Metric, registry: Registry | None) -> Subject:
    if isinstance(metric, Metric):
        return Subject(metric, checks=check_names(metric.spec.kind) if metric.spec else ())
    known = registry or build_registry()
    resolved = known.resolve_metric(metric)

    def rebuild(parameters: Mapping[str, Any]) -> Metric:
        name, given = parse_reference(metric)
        return known.metric(format_reference(name, {**given, **parameters}))

    at_defaults = ":" not in metric and resolved.spec.base is None
    return Subject(known.metric(resolved), rebuild, at_defaults, check_names(resolved.spec.kind))


def _run(check: Check, subject: Subject) -> CheckResult:
    name = _name(check)
    try:
        # What one check lets the metric change for the process would hide it from the next.
        with isolated():
            return CheckResult(name, "pass", check(subject))
    except Skipped as reason:
        return CheckResult(name, "skipped", str(reason))
    except Failed as reason:
        message = str(reason)
    except Exception as error:
        message = f"raised {type(error).__name__}: {first_line(error)}"
    exception = subject.metric.conformance_exceptions.get(name)
    if exception:
        return CheckResult(name, "exempt", f"{exception} ({message})")
    return CheckResult(name, "fail", message)


def _name(check: Check) -> str:
    return check.__name__.replace("_", " ")
