"""Branches of other packages: found by their entry point, built, trained, scored; and packages that go wrong."""

import importlib
import itertools
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
import torch

from iqa_kcross.branch import BranchSettings, Context, LossSettings, TrainingBatch
from iqa_kcross.checkpoint import History, save_model
from iqa_kcross.hookspecs import branch_failures, choose_branches, find_branches
from iqa_kcross.model import KCrossModel, ModelSettings, mean_of_active
from iqa_registry.errors import PluginError, UnknownNameError, WeightsError
from iqa_registry.registry import build_registry

EXAMPLE = Path(__file__).parents[2] / "examples" / "iqa-kcross-vessel"
OWN = ["complex", "tumor", "structure"]
SMALL = BranchSettings(width=4)
BRANCH = """
    from iqa_kcross.branch import Branch
    from iqa_kcross.hookspecs import hookimpl

    class Mean(Branch):
        name = "{name}"
        def __init__(self, settings):
            super().__init__(settings, size=1)
        def encode(self, images, context):
            return images.mean(dim=(1, 2, 3))
        def descriptor(self, first, second):
            return (first - second).abs()[:, None]

    @hookimpl
    def kcross_branches(register):
        {register}
"""
_numbers = itertools.count()


@pytest.fixture
def install_branch(monkeypatch, tmp_path):
    """``install_branch(package, point, source)`` makes a package that looks installed."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package, point="demo", name="mean", register="register(Mean)", source=BRANCH):
        module = f"demo_branch_{next(_numbers)}"
        text = textwrap.dedent(source).replace("{name}", name).replace("{register}", register)
        (tmp_path / f"{module}.py").write_text(text)
        _describe(tmp_path, package, {point: module})

    return install


@pytest.fixture
def vessel(monkeypatch, tmp_path):
    """The example package, found by its metadata as an installed one is."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    _describe(tmp_path, project["name"], project["entry-points"]["iqa_kcross"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE)


def _describe(folder, package, points):
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{point} = {module}" for point, module in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[iqa_kcross]", *lines, ""]))
    importlib.invalidate_caches()


def images_of(line):
    """Two people with a smooth brain and, where asked for, a vessel of one pixel."""
    images = torch.full((2, 1, 64, 64), 0.5)
    images[..., 30, 10:50] += 0.4 * line
    return images


def test_our_own_branches_come_through_the_same_door():
    assert list(find_branches()) == OWN
    assert branch_failures() == {}


def test_branches_of_the_example_are_found(vessel):
    found = find_branches()
    assert list(found) == [*OWN, "vessel", "texture"]
    assert found["vessel"].__module__ == "iqa_kcross_vessel.vessel"


def test_an_unknown_branch_names_them(vessel):
    with pytest.raises(
        UnknownNameError, match=r"'vesel'. Did you mean 'vessel'\?.*structure, vessel, texture"
    ):
        choose_branches(["complex", "vesel"])


def test_a_vessel_that_is_lost_or_dimmed_moves_the_vessel_descriptor_alone(vessel):
    model = KCrossModel(ModelSettings(("vessel",), SMALL)).finish()
    whole, dimmed, lost = (model.encode(images_of(line), Context()) for line in (1.0, 0.5, 0.0))
    values = [model.descriptors(whole, other)["vessel"][0].mean().item() for other in (whole, dimmed, lost)]
    # Forty pixels of 4096, 0.4 bright, in each of the three sizes.
    assert values == pytest.approx([0.0, 0.2 * 40 / 4096, 0.4 * 40 / 4096], abs=1e-6)


def test_a_model_with_them_is_built_and_scored(vessel):
    torch.manual_seed(0)
    model = KCrossModel(ModelSettings(("complex", "vessel", "texture"), SMALL)).finish()
    parts = model.branch_scores(*(model.encode(images_of(line), Context()) for line in (1.0, 0.0)))
    assert list(parts) == ["complex", "vessel", "texture"]
    score = mean_of_active(list(parts.values()))
    torch.testing.assert_close(score, torch.stack(list(parts.values())).mean(dim=0))
    assert ((score > 0) & (score < 1)).all()


def test_stage_one_trains_their_networks(vessel):
    torch.manual_seed(0)
    model = KCrossModel(ModelSettings(("vessel", "texture"), SMALL), training=True).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    images, none = torch.rand(2, 1, 32, 32), torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    batch = TrainingBatch(images, images, none, none, LossSettings())
    history = []
    for _ in range(40):
        losses = {
            name: loss for branch in model.branches.values() for name, loss in branch.losses(batch).items()
        }
        optimizer.zero_grad()
        losses["texture"].backward()
        optimizer.step()
        history.append(losses["texture"].item())
    assert list(losses) == ["texture"]
    assert history[-1] < 0.9 * history[0]


def test_two_packages_that_claim_one_name_are_both_named(install_branch):
    install_branch("first-package", "one")
    install_branch("second-package", "two")
    with pytest.raises(
        PluginError,
        match=r"second-package 1.0 \(two\): .*'mean' is already registered by first-package 1.0 \(one\)",
    ):
        find_branches()


def test_a_package_cannot_take_the_name_of_a_branch_of_the_paper(install_branch):
    install_branch("first-package", name="tumor")
    with pytest.raises(
        PluginError,
        match=r"first-package 1.0 \(demo\): .*'tumor' is already registered by iqa-reg.*\(iqa_kcross\)",
    ):
        KCrossModel(ModelSettings(("complex",), SMALL))


def test_two_packages_may_call_their_plugins_the_same(install_branch):
    install_branch("first-package")
    install_branch("second-package", name="other")
    assert list(find_branches()) == [*OWN, "mean", "other"]
    assert branch_failures() == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": "import no_such_package"}, "ModuleNotFoundError: No module named 'no_such_package'"),
        ({"source": "x = 1"}, "registers no branch. Implement the hook kcross_branches."),
        ({"register": "raise ValueError('no vessels')"}, "ValueError: no vessels"),
        ({"register": "register(3)"}, "3 must be a class"),
        ({"name": "Mean+Max"}, "not 'Mean+Max'"),
    ],
)
def test_a_broken_plugin_is_left_out_with_its_reason(install_branch, change, reason):
    install_branch("broken-package", "broken", **change)
    install_branch("good-package", "good", name="fine")
    assert list(find_branches()) == [*OWN, "fine"]
    (plugin, why), *others = branch_failures().items()
    assert (plugin, others) == ("broken-package 1.0 (broken)", [])
    assert reason in why
    with pytest.raises(
        UnknownNameError, match=r"no branch 'mean'.*Plugin broken-package 1.0 \(broken\) failed: "
    ):
        choose_branches(["mean"])


@pytest.fixture
def weights(vessel, tmp_path):
    """A model with a branch of the paper and both of the example."""
    torch.manual_seed(0)
    model = KCrossModel(ModelSettings(("complex", "vessel", "texture"), SMALL))
    save_model(model, tmp_path / "model.safetensors", History())
    return tmp_path / "model.safetensors", model.finish()


@pytest.mark.parametrize("branches", [["complex", "vessel"], ["texture"], ["vessel", "complex", "texture"]])
def test_the_registry_configures_and_scores_them(weights, branches):
    path, model = weights
    metric = build_registry().metric(f"kcross:weights={path},branches={'+'.join(branches)}")
    images = images_of(1.0), images_of(0.0)
    parts = model.branch_scores(*(model.encode(item, Context()) for item in images))
    expected = torch.stack([parts[name] for name in branches]).mean(dim=0)
    torch.testing.assert_close(metric(*images), expected, atol=1e-5, rtol=0)


def test_weights_without_the_branch_that_is_asked_for_are_refused(vessel, tmp_path):
    path = tmp_path / "paper.safetensors"
    save_model(KCrossModel(ModelSettings(("complex",), SMALL)), path, History())
    with pytest.raises(WeightsError, match=r"paper\.safetensors: has no branch vessel, only complex"):
        build_registry().metric(f"kcross:weights={path},branches=complex+vessel")


def test_weights_that_need_a_package_name_its_branch(weights, tmp_path):
    path, _ = weights
    for info in tmp_path.glob("*.dist-info"):
        (info / "entry_points.txt").write_text("")
    with pytest.raises(WeightsError, match=r"model\.safetensors: K-CROSS has no branch 'vessel'"):
        build_registry().metric(f"kcross:weights={path}")


@pytest.mark.slow
def test_installed_elsewhere_it_is_found_there(tmp_path):
    pytest.importorskip("uv")
    pytest.importorskip("hatchling")
    command = ["uv", "pip", "install", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run(
        [sys.executable, "-m", *command, tmp_path, EXAMPLE], check=True, capture_output=True, timeout=300
    )
    code = "from iqa_kcross.hookspecs import find_branches; print(*find_branches())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    assert result.stdout.split() == [*OWN, "vessel", "texture"]
