"""Names of metrics as people type them."""

import numpy as np
import polars as pl
import pytest

import iqa_registry as iqa
from iqa_registry.agreement.scores import Wanted, make_scores
from iqa_registry.agreement.systems import choose_columns
from iqa_registry.errors import UnknownNameError
from iqa_registry.naming import split_metrics
from iqa_registry.registry import build_registry


def test_case_does_not_matter():
    registry = build_registry()
    assert registry.metric_spec("SSIM:window=7").name == "ssim"
    assert registry.resolve_metric("Psnr").text == "psnr"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssim,psnr", ["ssim", "psnr"]),
        ("SSIM, psnr", ["SSIM", "psnr"]),
        ("lpips:net=vgg,x=1", ["lpips:net=vgg,x=1"]),
        ("lpips:net=vgg,x=1,psnr", ["lpips:net=vgg,x=1", "psnr"]),
        ("kcross:/data/a,b.safetensors", ["kcross:/data/a,b.safetensors"]),
        ("kcross:path=[/data/a,ssim],size=64", ["kcross:path=[/data/a,ssim],size=64"]),
        ("ssim,nothing", ["ssim", "nothing"]),
    ],
)
def test_several_metrics_in_one_text(text, expected):
    assert split_metrics([text], build_registry().metrics) == expected


def test_a_known_name_with_a_comma_stays_whole():
    assert split_metrics(["a,b", "a,c"], ["a", "a,b", "c"]) == ["a,b", "a", "c"]


def test_columns_of_tables_are_found_the_same_way():
    table = pl.DataFrame(
        {"pair_id": ["a", "b"], "psnr": [1.0, 2.0], "ssim:window=7": [0.1, 0.2], "dice": [0.0, 1.0]}
    )
    scores = make_scores(table, build_registry(), Wanted(metrics=("PSNR,SSIM:window=7",)))
    assert scores.metrics == ["psnr", "ssim:window=7"]
    assert choose_columns(table, ["dice"], ["Psnr"]).metrics == ("psnr",)


def test_evaluate_takes_them_from_python():
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) // 16
    table = iqa.evaluate([(image.astype(np.uint8), image.astype(np.uint8))], ["PSNR,Mae"])
    assert set(table["metric"]) == {"psnr", "mae"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fid", "there is no metric 'fid'. It compares two sets of images, and no metric of this kind"),
        ("ncc", r"there is no metric 'ncc'. No metric of this kind \(correlation\) is installed"),
        ("nmse", "Similar: .*mse"),
    ],
)
def test_usual_metrics_that_are_not_here_are_explained(name, message):
    with pytest.raises(UnknownNameError, match=message):
        build_registry().metric_spec(name)
