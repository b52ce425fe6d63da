"""The conformance kit: a good metric passes; each defect fails the check that is meant to find it, and no other."""

import pickle
import re

import numpy as np
import pytest
import torch

import broken_metrics
from broken_pairs import Good
from iqa_registry import MetricSpec
from iqa_registry.cli.check import _report
from iqa_registry.errors import UnknownNameError, UsageError
from iqa_registry.registry import build_registry
from iqa_registry.testing import (
    CHECKS,
    CheckResult,
    ConformanceError,
    assert_conforms,
    check_names,
    conformance_tests,
    run_checks,
)


@pytest.fixture(scope="module")
def broken():
    return build_registry(extra=[broken_metrics.candidate()])


def failing(results):
    return {item.name: item.message for item in results if item.status == "fail"}


@pytest.mark.parametrize("name", broken_metrics.CASES)
def test_each_defect_fails_its_check_and_no_other(broken, name):
    expected = broken_metrics.CASES[name][2]
    failed = failing(run_checks(name, broken))
    assert set(failed) == expected, failed


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_tensor_that_stays_behind_fails_on_cuda(broken):
    assert set(failing(run_checks("keeps-tensor", broken))) == {"device"}


def test_every_check_has_a_defect_that_it_finds():
    found = set.union(*(failed for _, _, failed in broken_metrics.CASES.values()))
    assert found == {name for kind in CHECKS for name in check_names(kind)} - {"device"}


def test_a_metric_that_cannot_be_built_gives_one_result_that_says_why(broken):
    assert run_checks("fails-to-start", broken) == [
        CheckResult("construction", "fail", "OSError: no such table")
    ]


def test_unknown_names_and_instances_without_a_declaration_are_refused(broken):
    with pytest.raises(UnknownNameError, match="Did you mean 'good-set'"):
        run_checks("goodset", broken)
    with pytest.raises(UsageError, match="Good has no declaration"):
        run_checks(Good())


def test_an_instance_can_be_checked_without_a_registry():
    metric = Good()
    metric.spec = MetricSpec(
        name="mine", factory="broken_pairs:Good", **broken_metrics.SPEC | broken_metrics.MASKS
    )
    assert failing(run_checks(metric)) == {}
    metric.spec = MetricSpec(name="mine", factory="broken_metrics:Missing", **broken_metrics.SPEC)
    assert failing(run_checks(metric)) == {"declaration": "there is no factory broken_metrics:Missing"}


def test_a_declared_exception_is_exempt_and_shows_its_reason(broken):
    reason = "it counts from 0.2 (declares identity_score=0, gives 0.2)"
    results = run_checks("exempt-offset", broken)
    assert [item for item in results if item.status == "exempt"] == [
        CheckResult("identity", "exempt", reason)
    ]
    assert_conforms("exempt-offset", broken)
    test = conformance_tests("exempt-offset", registry=broken)
    assert results_of(test, "offset-identity") == [f"xfailed: {reason}"]
    lines = _report("exempt-offset", results).splitlines()
    assert any(re.match(r"identity +exempt +it counts from 0\.2", line) for line in lines)
    assert re.fullmatch(r"exempt-offset: \d+ passed, 0 failed, \d+ skipped, 1 exempt", lines[-1])


@pytest.mark.parametrize(
    ("exceptions", "named"), [({"identiy": "a reason"}, "identiy"), ({"identity": " "}, "identity")]
)
def test_an_exception_needs_a_known_check_and_a_reason(exceptions, named):
    metric = Good()
    metric.spec = MetricSpec(name="mine", factory="broken_pairs:Good", **broken_metrics.SPEC)
    metric.conformance_exceptions = exceptions
    assert failing(run_checks(metric)) == {
        "declaration": f"conformance_exceptions has no such check, or no reason: {named}"
    }


def squared_error(x, y, mask=True):
    return np.square(x - y).mean(where=mask)


def results_of(test, check):
    return [outcome(test, *case.values) for case in test.pytestmark[0].args[1] if case.id.endswith(check)]


def test_a_reference_function_is_compared_over_probes_masks_volumes_and_given_pairs(broken):
    seen = []

    def watched(x, y, mask=None):
        seen.append((x.shape, mask is not None))
        return squared_error(x, y, True if mask is None else mask)

    color = np.random.default_rng(0).random((2, 9, 8, 3))
    names = ("good-masks", "good-volumes:dimensions=3")
    test = conformance_tests(*names, reference=watched, pairs={}, registry=broken, atol=1e-6)
    assert results_of(test, "-reference") == ["passed", "passed"]
    assert {(len(shape), masked) for shape, masked in seen} == {(n, m) for n in (2, 3) for m in (False, True)}
    assert len({shape for shape, _ in seen}) == 6
    test = conformance_tests("good", reference=watched, pairs={"color": color}, registry=broken)
    assert results_of(test, "-reference") == ["passed"]
    assert seen[-1] == ((9, 8, 3), False)


@pytest.mark.parametrize(
    ("name", "function", "atol", "expected"),
    [
        ("good", lambda x, y: squared_error(x, y) + 2e-5, 1e-5, "failed"),
        ("good", lambda x, y: squared_error(x, y) + 2e-5, 3e-5, "passed"),
        ("good", lambda x, y: np.nan, 1.0, "failed"),
        ("mask-inverted", squared_error, 1e-6, "failed"),
        ("mask-inverted", lambda x, y: squared_error(x, y), 1e-6, "passed"),
        ("good-single", lambda x: np.abs(np.diff(x, axis=1)).mean(), 1e-6, "passed"),
        ("good-set", lambda x, y: 0.0, 1e-6, "failed"),
    ],
)
def test_a_reference_function_finds_what_differs(broken, name, function, atol, expected):
    test = conformance_tests(name, reference=function, atol=atol, registry=broken)
    assert results_of(test, "-reference") == [expected]


def test_the_error_lists_the_failing_checks_and_survives_pickling(broken):
    with pytest.raises(ConformanceError) as caught:
        assert_conforms("offset", broken)
    text = "offset fails 1 of 31 checks:\n  identity: declares identity_score=0, gives 0.2"
    assert str(caught.value) == text
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


def test_one_line_gives_a_test_per_check(broken):
    test = conformance_tests("good", "offset", registry=broken)
    cases = test.pytestmark[0].args[1]
    outcomes = {case.id: outcome(test, *case.values) for case in cases}
    assert len(cases) == 2 * len(CHECKS["full-reference"])
    assert outcomes["good-identity"] == outcomes["offset-direction"] == "passed"
    assert outcomes["good-mask-full"] == "skipped"
    assert [name for name, result in outcomes.items() if result == "failed"] == ["offset-identity"]


def outcome(test, metric, check):
    try:
        test(metric=metric, check=check)
    except ConformanceError:
        return "failed"
    except pytest.skip.Exception:
        return "skipped"
    except pytest.xfail.Exception as reason:
        return f"xfailed: {reason}"
    return "passed"
