"""The bridge to pyiqa: a small package in its place, and, marked slow, pyiqa itself."""

from __future__ import annotations

import math
import random
import socket
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from iqa_learned import plugin, pyiqa_bridge
from iqa_learned.pyiqa_configs import installed_metrics
from iqa_registry.errors import MissingExtraError, NotApplicableError, UsageError, WeightsError

TABLE = """
from collections import OrderedDict
raise_if_imported = None
DEFAULT_CONFIGS = OrderedDict({
    'Noise_L14': {'metric_opts': {'type': 'N'}, 'metric_mode': 'FR', 'lower_better': True, 'score_range': '0, 1'},
    'mean': {'metric_opts': {'type': 'M'}, 'metric_mode': 'NR', 'score_range': '0, 1'},
    'refuses': {'metric_opts': {'type': 'R'}, 'metric_mode': 'NR'},
    'unreachable': {'metric_opts': {'type': 'U'}, 'metric_mode': 'NR'},
    'lacking': {'metric_opts': {'type': 'L'}, 'metric_mode': 'NR'},
    'fid': {'metric_opts': {'type': 'FID'}, 'metric_mode': 'NR', 'lower_better': True},
    'clipscore': {'metric_opts': {'type': 'CLIPScore'}, 'metric_mode': 'FR'},
    'inception_score': {'metric_opts': {'type': 'InceptionScore'}, 'metric_mode': 'NR'},
})
"""
PACKAGE = """
import random, urllib.request
import numpy, torch
from torch import nn


class Mean(nn.Module):
    def forward(self, image):
        return image.mean((1, 2, 3)).view(-1, 1)


class Noise(nn.Module):
    def forward(self, image, reference):
        drawn = torch.rand(1) + random.random() + numpy.random.rand()
        return (image - reference).abs().mean((1, 2, 3)) + drawn


class Refuses(nn.Module):
    def forward(self, image):
        raise AssertionError('image too small')


def create_metric(name, device):
    print('loading', name)
    if name == 'unreachable':
        urllib.request.urlopen('http://weights.invalid/file')
    if name == 'lacking':
        import no_such_package_at_all
    return {'mean': Mean, 'Noise_L14': Noise, 'refuses': Refuses}[name]()
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package named pyiqa."""
    folder = tmp_path / "stand_in" / "pyiqa"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "default_model_configs.py").write_text(TABLE)
    for name in [*sys.modules]:
        if name == "pyiqa" or name.startswith("pyiqa."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder.parent)
    yield
    sys.modules.pop("pyiqa", None)


def build(name: str, offline: bool = False):
    specs = {f"pyiqa/{metric.name.lower()}": metric for metric in installed_metrics()}
    metric = specs[name]
    spec = plugin.pyiqa_spec(metric.name, metric.needs_reference, metric.higher_is_better, metric.score_range)
    factory = getattr(pyiqa_bridge, spec.factory.partition(":")[2])
    built = factory(registry=SimpleNamespace(weights=SimpleNamespace(offline=offline)), spec=spec)
    built.spec = spec
    return built


def test_the_table_is_read_without_importing(stand_in):
    metrics = {metric.name: metric for metric in installed_metrics()}
    assert "pyiqa" not in sys.modules
    assert set(metrics) == {"Noise_L14", "mean", "refuses", "unreachable", "lacking"}
    assert (metrics["Noise_L14"].needs_reference, metrics["Noise_L14"].higher_is_better) == (True, False)
    assert (metrics["mean"].needs_reference, metrics["mean"].higher_is_better) == (False, True)


def test_every_metric_is_declared_with_its_license(stand_in):
    specs = []
    plugin.iqa_register_metrics(specs.append)
    bridged = {spec.name: spec for spec in specs if spec.name.startswith("pyiqa/")}
    assert set(bridged) == {
        f"pyiqa/{name}" for name in ("noise_l14", "mean", "refuses", "unreachable", "lacking")
    }
    for spec in bridged.values():
        spec.check()
        assert (spec.license, spec.extra) == ("PolyForm-Noncommercial-1.0.0", "pyiqa")
        assert spec.score_range == (-math.inf, math.inf)


def test_nothing_is_declared_without_pyiqa(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    specs = []
    plugin.iqa_register_metrics(specs.append)
    assert [spec.name for spec in specs] == ["deepiqa", "dists", "lpips"]


def test_scores_are_pyiqas_and_grey_is_repeated(stand_in, capsys):
    metric = build("pyiqa/mean")
    images = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(metric(images), images.mean((1, 2, 3)))
    assert capsys.readouterr().out == ""


def test_random_draws_do_not_show(stand_in):
    metric = build("pyiqa/noise_l14")
    first, second = torch.rand(3, 1, 8, 8), torch.rand(3, 1, 8, 8)
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    whole = metric(first, second)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    single = torch.cat([metric(first[i : i + 1], second[i : i + 1]) for i in (2, 1, 0)])
    assert torch.equal(whole, single.flip(0))
    assert metric(first, first).unique().numel() == 1


def test_a_refused_image_is_told_with_its_size(stand_in):
    with pytest.raises(
        NotApplicableError, match=r"pyiqa/refuses cannot score an image of 8 x 9 pixels: image too"
    ):
        build("pyiqa/refuses")(torch.rand(1, 1, 8, 9))


def test_masks_are_refused(stand_in):
    images = torch.rand(1, 1, 8, 8)
    with pytest.raises(UsageError, match=r"cannot be restricted to a mask"):
        build("pyiqa/noise_l14")(images, images, torch.ones(1, 1, 8, 8, dtype=torch.bool))


def test_unreachable_weights(stand_in):
    with pytest.raises(WeightsError, match=r"pyiqa/unreachable: pyiqa could not get its weights"):
        build("pyiqa/unreachable")


def test_offline_reaches_nothing(stand_in):
    resolve = socket.getaddrinfo
    with pytest.raises(WeightsError, match=r"IQA_OFFLINE forbids the network"):
        build("pyiqa/unreachable", offline=True)
    assert socket.getaddrinfo is resolve


def test_what_is_not_installed_is_named(stand_in, monkeypatch):
    with pytest.raises(MissingExtraError, match=r"'no_such_package_at_all' is not installed"):
        build("pyiqa/lacking")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyiqa", None)
        with pytest.raises(
            MissingExtraError, match=r'not installed\. .* pip install "iqa-registry\[pyiqa\]"'
        ):
            pyiqa_bridge.create("pyiqa/mean")


def test_the_installed_table():
    metrics = {metric.name: metric for metric in installed_metrics()}
    if not metrics:
        pytest.skip("pyiqa is not installed")
    assert len(metrics) > 80
    assert {"fid", "sfid", "inception_score", "clipscore"}.isdisjoint(metrics)
    assert not metrics["niqe"].higher_is_better
    assert metrics["musiq"].higher_is_better
    assert metrics["wadiqam_fr"].needs_reference


@pytest.mark.slow
def test_pyiqa_itself():
    first, second = torch.rand(2, 1, 48, 48), torch.rand(2, 1, 48, 48)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("pyiqa")
        scores = build("pyiqa/psnr")(first, second)
    expected = 10 * torch.log10(1 / (first - second).square().mean((1, 2, 3)))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-3)
