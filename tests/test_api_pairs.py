"""Pairs, metrics, layouts and options as Python users give them; expected scores are computed with numpy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import iqa_registry as iqa
from iqa_registry.errors import OptionError, UsageError


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    reference = np.random.default_rng(3).random((24, 20)).astype(np.float32)
    return reference * np.float32(0.9), reference


def scores(*arguments: Any, **options: Any) -> list[float]:
    found: list[float] = iqa.evaluate(*arguments, **{"intensity": "none"} | options)["score"].to_list()
    return found


def test_one_pair_and_keywords(images):
    expected = [pytest.approx(np.abs(images[0] - images[1]).mean(), abs=1e-6)]
    assert scores(images, "mae") == expected
    assert scores(synthesized=images[0], reference=images[1], metrics="mae") == expected
    assert scores([{"synthesized": images[0], "reference": images[1]}], ["mae"]) == expected


def test_folders_and_tables(images, tmp_path: Path):
    pandas = pytest.importorskip("pandas")
    for folder, image in zip(("fake", "real"), images, strict=True):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", image)
    fake, real = tmp_path / "fake", tmp_path / "real"
    expected = [pytest.approx(np.abs(images[0] - images[1]).mean(), abs=1e-6)]
    assert scores((fake, real), "mae") == expected
    assert scores(synthesized=fake, reference=str(real), metrics="mae") == expected
    table = {"synthesized": [str(fake / "a.npy")], "reference": [str(real / "a.npy")]}
    table |= {"mask": [float("nan")], "model": ["unet"]}
    for frame in (pandas.DataFrame(table), pl.DataFrame(table)):
        found = iqa.evaluate(frame, ["mae"], intensity="none")
        assert found["score"].to_list() == expected
        assert found["model"].to_list() == ["unet"]
        assert found["region"].to_list() == ["image"]
    with pytest.raises(UsageError, match="no column 'synthesized'; it has fake"):
        iqa.evaluate(pandas.DataFrame({"fake": []}), "mae")


def test_metrics_names_modules_and_functions(images):
    def largest(synthesized, reference):
        return (synthesized - reference).abs().amax((1, 2, 3))

    built = iqa.metric("mae")
    table = iqa.evaluate(
        [images, images],
        ["mse,ssim:window=7,dimensions=2", built, largest, lambda s, r: float((s - r).mean())],
        intensity="none",
    )
    gap = images[0].astype(float) - images[1]
    found = table.filter(pl.col("pair_id") == "0001")
    by_name = dict(zip(found["metric"], found["score"], strict=True))
    assert by_name["mse"] == pytest.approx((gap**2).mean(), abs=1e-6)
    assert by_name["mae"] == pytest.approx(np.abs(gap).mean(), abs=1e-6)
    assert by_name["largest"] == pytest.approx(np.abs(gap).max(), abs=1e-6)
    assert by_name["function"] == pytest.approx(gap.mean(), abs=1e-6)
    directions = dict(zip(found["metric"], found["higher_is_better"], strict=True))
    assert directions["largest"] is None
    assert directions["mae"] is False
    assert any(name.startswith("ssim:window=7") for name in by_name)


def test_what_is_not_a_metric_is_refused(images):
    for metrics in ([], [3], 7):
        with pytest.raises(UsageError, match=r"metric"):
            iqa.evaluate(images, metrics)
    with pytest.raises(UsageError, match="two metrics are called 'function'"):
        iqa.evaluate(images, [lambda s, r: 0, lambda s, r: 1])


@pytest.mark.parametrize("as_file", [False, True])
def test_a_stack_is_its_images(tmp_path: Path, as_file: bool):
    reference = np.random.default_rng(1).random((5, 12, 16))
    pair: Any = [reference * 0.9, reference]
    if as_file:
        for name, stack in zip("sr", pair, strict=True):
            np.save(tmp_path / f"{name}.npy", stack)
        pair = [str(tmp_path / "s.npy"), str(tmp_path / "r.npy")]
    table = iqa.evaluate(tuple(pair), "mae", intensity="none", layout="NHW")
    assert table["score"].to_list() == pytest.approx((0.1 * reference).mean((1, 2)).tolist(), abs=1e-6)
    assert table["slice"].to_list() == [0, 1, 2, 3, 4]


def test_channels_and_volumes_by_layout():
    batch = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    found = scores((batch * 0.9, batch), "mae", layout="NCHW")
    assert found == pytest.approx((0.1 * batch).mean((1, 2, 3)).tolist(), abs=1e-6)
    last = batch[0].permute(1, 2, 0)
    assert scores((last * 0.9, last), "mae", layout="HWC") == [pytest.approx(found[0], abs=1e-6)]
    volume = np.random.default_rng(2).random((4, 8, 9))
    by_slice = scores((volume * 0.9, volume), "mae", layout="ZYX")
    assert by_slice == pytest.approx((0.1 * volume).mean((1, 2)).tolist(), abs=1e-6)
    with pytest.raises(UsageError, match="has not the axes of the layout NCHW"):
        scores((volume, volume), "mae", layout="NCHW")
    with pytest.raises(UsageError, match=r"different length \(synthesized 4, reference 3\)"):
        scores((volume, volume[:3]), "mae", layout="NHW")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((6, 8, 9), "NHW (a stack of 2-D images)"),
        ((3, 8, 9), "CHW (a color image)"),
        ((8, 9, 3), "HWC (a color image)"),
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_an_open_shape_is_an_error_that_offers_layouts(tmp_path: Path, shape, words, as_file: bool):
    values = np.random.default_rng(2).random(shape)
    np.save(tmp_path / "a.npy", values)
    source = tmp_path / "a.npy" if as_file else values
    with pytest.raises(UsageError, match="can be read in more than one way") as caught:
        iqa.evaluate((source, source), "mae", intensity="none")
    assert words in str(caught.value)
    assert iqa.evaluate((source, source), "mae", intensity="none", layout="XYZ")["notes"][0] != ""


def test_where_all_metrics_work_in_three_dimensions_an_array_is_a_volume():
    volume = np.random.default_rng(2).random((16, 17, 12))
    found = scores((volume * 0.9, volume), "mae:dimensions=3")
    assert found == [pytest.approx((0.1 * volume).mean(), abs=1e-6)]


@pytest.mark.parametrize("shape", [(8, 9), (1, 8, 9), (8, 9, 1)])
def test_a_shape_without_doubt_needs_no_layout(shape):
    values = np.random.default_rng(2).random(shape)
    assert scores((values * 0.9, values), "mae") == [pytest.approx((0.1 * values).mean(), abs=1e-6)]


def test_a_table_becomes_one_of_pandas_without_pyarrow(images, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = iqa.evaluate(images, "mae", intensity="none").to_pandas()
    assert frame["score"][0] == pytest.approx(np.abs(images[0] - images[1]).mean(), abs=1e-6)
    assert frame["mask" if "mask" in frame else "message"][0] is None


def test_maps_and_correlate(images):
    pandas = pytest.importorskip("pandas")
    found = next(iqa.maps(images, "error", intensity="none"))
    np.testing.assert_allclose(found.values, np.abs(images[0] - images[1]), atol=1e-6)
    table = {"method": list("abcd"), "dice": [0.1, 0.2, 0.4, 0.3], "fid": [9, 7, 2, 4]}
    assert iqa.correlate(pandas.DataFrame(table), "dice")["spearman"][0] == -1.0
    volume = np.zeros((4, 8, 9))
    with pytest.raises(UsageError, match="more than one way"):
        iqa.maps((volume, volume), "error")


def test_a_metric_shows_its_parameters():
    shown = repr(iqa.metric("ssim:window=7"))
    assert shown.startswith("SSIM(ssim:")
    assert "window=7" in shown
    assert shown.endswith(", higher is better)")


@pytest.mark.parametrize(
    "wrong",
    [
        {"intensity": 5}, {"intensity": ("a", 1)}, {"slices": 1.5}, {"layout": "ABC"}, {"workers": "2"},
        {"strict": "yes"}, {"batch_size": "8"}, {"dilate": "1"}, {"device": 0}, {"resample": "reference"},
    ],
)  # fmt: skip
def test_options_of_a_wrong_type(images, wrong):
    (name,) = wrong
    with pytest.raises(OptionError, match=f"^{name}: "):
        iqa.evaluate(images, "mae", **wrong)


def test_pairs_of_numbers_are_ranges(images):
    volume = np.random.default_rng(2).random((6, 8, 9))
    expected = (0.1 * volume).mean((0, 1))[1:3] / 2
    found = scores((volume * 0.9, volume), "mae", layout="XYZ", intensity=(0, 2), slices=(1, 3))
    assert found == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_run_is_loaded(images, tmp_path: Path):
    iqa.evaluate(images, "mae", output=tmp_path / "run", intensity="none")
    run = iqa.load_run(tmp_path / "run")
    assert run.settings["intensity"] == "none"
    assert "1 rows, 1 pairs, mae" in repr(run)
    assert run.summary()["mean"][0] == pytest.approx(np.abs(images[0] - images[1]).mean(), abs=1e-6)
