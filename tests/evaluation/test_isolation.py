"""A metric that breaks its interface or its surroundings costs only itself, and is named."""

import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import rude_metrics
from iqa_registry import isolation
from iqa_registry.errors import IQAError
from iqa_registry.evaluation.evaluate import evaluate, start_metrics
from iqa_registry.evaluation.options import Options
from iqa_registry.inputs import open_inputs
from iqa_registry.registry import build_registry


@pytest.fixture(scope="module")
def registry():
    return build_registry(extra=[rude_metrics.candidate()])


@pytest.fixture
def pairs():
    """Five pairs that differ from their references by a known constant."""
    generator = np.random.default_rng(3)
    references = generator.integers(0, 200, size=(5, 16, 20)).astype(np.uint8)
    return [(reference + 10 * (number + 1), reference) for number, reference in enumerate(references)]


@pytest.fixture
def score(registry, pairs):
    def run(*metrics, **options):
        found = start_metrics(registry, list(metrics), "cpu")
        return evaluate(open_inputs(pairs=pairs), found, Options(**options), registry)

    return run


EXPECTED = [10 * (number + 1) / 255 for number in range(5)]


def check_others(table):
    """The metric of pixels that is scored last has the scores that numpy gives."""
    last = table.filter(table["metric"] == "mae")
    assert set(last["status"]) == {"ok"}
    assert last["score"].to_list() == pytest.approx(EXPECTED, abs=1e-6)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("column", "gave scores of shape (5, 1) for 5 images, expected (5,)"),
        ("more", "gave scores of shape (8,) for 5 images, expected (5,)"),
        ("fewer", "gave scores of shape (4,) for 5 images, expected (5,)"),
        ("scalar", "gave scores of shape () for 5 images, expected (5,)"),
        ("complex", "gave scores as complex numbers, expected real numbers"),
        ("list", "gave scores as list, expected a tensor of shape (5,)"),
        ("array", "gave scores as ndarray, expected a tensor of shape (5,)"),
    ],
)
def test_scores_of_another_form_are_errors(score, way, says):
    table = score(f"rude-giving:way={way}", "mae").table
    rude = table.filter(table["metric"] != "mae")
    assert (rude.height, set(rude["status"]), rude["score"].null_count()) == (5, {"error"}, 5)
    assert says in rude["message"][0]
    assert rude["message"][0].startswith(f"rude-giving:way={way}: ")
    check_others(table)


def test_a_form_that_is_wrong_is_told_after_one_call(score, monkeypatch):
    sizes = []
    original = rude_metrics.Giving.compare

    def counted(self, synthesized, reference, mask=None):
        sizes.append(len(synthesized))
        return original(self, synthesized, reference, mask)

    monkeypatch.setattr(rude_metrics.Giving, "compare", counted)
    score("rude-giving")
    assert sizes == [5]


def test_scores_of_one_image_have_one_dimension(score):
    (message,) = set(score("rude-one").table["message"])
    assert message == "rude-one: gave scores of shape (5, 1) for 5 images, expected (5,)."


def test_nothing_is_no_score(score):
    table = score("rude-giving:way=none", "mae").table
    assert set(table.filter(table["metric"] != "mae")["status"]) == {"error"}
    check_others(table)


def test_one_encoding_for_all_images_is_an_error(score):
    table = score("rude-encoding", "mae").table
    assert "encode gave a tensor of shape (1, 1, 16, 20) for 5 images" in table["message"][0]
    check_others(table)


@pytest.mark.parametrize("where", ["encode", "compare"])
@pytest.mark.parametrize("way", ["method", "data", "numpy", "flip"])
def test_a_metric_that_changes_its_images_is_named(score, way, where):
    text = f"rude-changing:way={way},where={where}"
    table = score("psnr", text, "mae").table
    rude = table.filter(table["metric"].str.starts_with("rude"))
    assert set(rude["status"]) == {"error"}
    assert all("in place" in message and "rude-changing" in message for message in rude["message"])
    check_others(table)
    psnr = table.filter(table["metric"] == "psnr")
    assert psnr["score"].to_list() == pytest.approx(
        [20 * np.log10(1 / value) for value in EXPECTED], rel=1e-5
    )


def test_images_that_are_changed_before_a_failure_are_made_again(score):
    table = score("rude-changing:fails=true", "mae").table
    assert set(table.filter(table["metric"] != "mae")["status"]) == {"error"}
    check_others(table)


def test_the_kept_reference_of_several_candidates_stays_as_it_is(registry, pairs):
    reference = pairs[0][1]
    candidates = [(reference + 10 * (number + 1), reference) for number in range(5)]
    started = start_metrics(registry, ["rude-changing:way=numpy,where=compare", "mae"], "cpu")
    table = evaluate(open_inputs(pairs=candidates), started, Options(batch_size=1), registry).table
    assert set(table.filter(table["metric"] != "mae")["status"]) == {"error"}
    check_others(table)


def test_encodings_that_are_shared_stay_as_they_are(score):
    table = score("rude-sharing:spoils=true", "rude-sharing:spoils=false", "mae").table
    status = dict(zip(table["metric"], table["status"], strict=True))
    assert status["rude-sharing:spoils=true"] == "error"
    good = table.filter(table["metric"] == "rude-sharing:spoils=false")
    assert good["score"].to_list() == pytest.approx([2 * value for value in EXPECTED], abs=1e-6)
    check_others(table)


def state():
    return {
        "dtype": torch.get_default_dtype(), "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(), "threads": torch.get_num_threads(),
        "cudnn": torch.backends.cudnn.benchmark, "mkldnn": torch.backends.mkldnn.enabled,
        "device": torch.get_default_device(), "torch": torch.get_rng_state().sum().item(),
        "numpy": int(np.random.get_state()[1].astype(np.int64).sum()), "python": random.getstate(),
        "errors": np.geterr(), "filters": list(warnings.filters), "folder": Path.cwd(),
    }  # fmt: skip


@pytest.mark.parametrize("when", ["starting", "scoring"])
def test_the_process_stays_as_it_is(score, when):
    before = state()
    table = score(f"rude-spoiling:when={when}", "mae").table
    assert state() == before
    assert set(table["status"]) == {"ok"}
    check_others(table)


def test_a_filter_for_one_module_stays():
    with warnings.catch_warnings():
        with isolation.isolated():
            warnings.filterwarnings("ignore", message="numpy.ndarray size changed")
            warnings.filterwarnings("ignore")
            warnings.filterwarnings("ignore", category=UserWarning)
        patterns = [item[1].pattern for item in warnings.filters if item[0] == "ignore" and item[1]]
        assert "numpy.ndarray size changed" in patterns
        with pytest.warns(UserWarning, match="seen"):
            warnings.warn("seen", stacklevel=1)


def test_settings_are_put_back_after_a_failure():
    before = state()

    @isolation.isolated()
    def spoil():
        rude_metrics.spoil_process()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spoil()
    assert state() == before


def test_stdout_stays_where_it_is_unless_it_is_reserved(capfd):
    with isolation.isolated():
        print("free")  # noqa: T201
    with isolation.stdout_reserved(), isolation.isolated():
        print("elsewhere")  # noqa: T201
    assert capfd.readouterr() == ("free\n", "elsewhere\n")


def test_a_metric_that_ends_the_process_costs_only_itself(score):
    table = score("rude-leaving", "mae").table
    assert "SystemExit: bye" in table["message"][0]
    check_others(table)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "rude-raising",
            "rude-raising: cannot start: ValueError: no such model look elsewhere (rude-package 1.0",
        ),
        ("rude-nothing", "rude-nothing: its factory gave NoneType, expected a Metric (rude-package 1.0"),
    ],
)
def test_a_factory_that_fails_costs_only_itself(registry, score, name, says):
    outcome = score(name, "mae")
    check_others(outcome.table)
    assert outcome.failed[name].startswith(says)
    assert "\n" not in outcome.failed[name]
    with pytest.raises(IQAError, match="rude"):
        registry.metric(name)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("nan", "gave NaN, expected a number"),
        ("none", "gave NoneType, expected one real number"),
        ("complex", "gave complex, expected one real number"),
        ("encode", "RuntimeError: no features"),
        ("summarize", "KeyError: 'mean'"),
        ("no summary", "summarize gave NoneType, expected a Summary"),
        ("exit", "SystemExit: 3"),
    ],
)
def test_a_set_metric_that_fails_is_a_row(score, way, says):
    table = score(f"rude-set:way={way}", "mae").table
    row = table.filter(table["metric"] != "mae")
    assert (row.height, row["status"][0], row["score"][0]) == (1, "error", None)
    assert says in row["message"][0]
    assert "rude-set" in row["message"][0]
    check_others(table)


def test_a_set_metric_may_give_a_tensor_of_one_number(score):
    assert score("rude-set:way=tensor").table["score"].to_list() == [0.5]


def test_a_kept_reference_that_a_later_batch_changes_is_noticed(registry, pairs):
    reference = pairs[0][1]
    candidates = [(reference + 10 * (number + 1), reference) for number in range(5)]
    text = "rude-changing:way=numpy,where=compare,skips=2"
    started = start_metrics(registry, [text, "mae"], "cpu")
    table = evaluate(open_inputs(pairs=candidates), started, Options(batch_size=1), registry).table
    rude = table.filter(table["metric"] != "mae")
    assert rude["status"].to_list() == ["ok", "ok", "error", "error", "error"]
    assert rude["score"].to_list()[:2] == pytest.approx(EXPECTED[:2], abs=1e-6)
    check_others(table)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (
            lambda first, second: (first - second).mean((1, 2, 3))[1:],
            r"gave \(4,\) for 5 pairs; return one number",
        ),
        (
            lambda first, second: (first - second).mean((1, 2, 3)) + 0j,
            "gave complex numbers; return real numbers",
        ),
        (lambda first, second: "good", "TypeError"),
        (lambda first, second: first.sub_(second).mean((1, 2, 3)), "changed its input images in place"),
    ],
)
def test_functions_are_held_to_the_same(registry, pairs, function, says):
    started = start_metrics(registry, [function, "mae"], "cpu")
    table = evaluate(open_inputs(pairs=pairs), started, Options(), registry).table
    rude = table.filter(table["metric"] == "function")
    assert set(rude["status"]) == {"error"}
    assert rude["message"].str.contains(says).all()
    check_others(table)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_progress_ends_with_all_pairs_although_some_cannot_be_read(registry, pairs, batch_size):
    told = []
    given = [*pairs[:3], ("absent.png", pairs[3][1]), ("absent.jpg", pairs[4][1])]
    started = start_metrics(registry, ["mae", "psnr"], "cpu")
    evaluate(
        open_inputs(pairs=given), started, Options(batch_size=batch_size), registry,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told[0] == (0, 5)
    assert told[-1] == (5, 5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
