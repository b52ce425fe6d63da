"""``iqa maps``: files, exit codes, messages."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from iqa_registry.cli.app import app
from iqa_registry.sample import NOTICE


@pytest.fixture
def iqa(monkeypatch, tmp_path):
    """Run the command line in this process, so that torch is imported once for all tests."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **environment):
        done = CliRunner().invoke(app, list(map(str, arguments)), env=environment, prog_name="iqa")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return run


def rows(folder):
    return list(csv.DictReader((folder / "maps.csv").read_text().splitlines()))


def test_sample_is_drawn_and_said_to_be_simulated(iqa, tmp_path):
    done = iqa("maps", "-o", "out", "--bare", "--metric", "error")
    assert (done.exit_code, done.output.count(NOTICE)) == (0, 1)
    assert "48 images in out" in done.output
    assert (tmp_path / "out" / "sim-0001-01-error.png").is_file()
    means = [float(row["mean"]) for row in rows(tmp_path / "out") if row["region"] == "mask"]
    assert len(means) == 48
    assert min(means) > 0


def test_folders_give_a_panel_for_each_metric(iqa, folders, tmp_path):
    done = iqa(
        "maps", *folders, "-m", "error", "-m", "ssim:window=7", "--limits", "error=0,0.25", "-o", "out"
    )
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "maps.csv",
        *(f"{n}-error.png" for n in range(3)),
        *(f"{n}-ssim_window=7.png" for n in range(3)),
    }
    with Image.open(tmp_path / "out" / "0-error.png") as panel:
        assert panel.width > 3 * 64
    assert {row["brightest"] for row in rows(tmp_path / "out") if row["metric"] == "error"} == {"0.25"}


def test_names_in_any_case_and_several_in_one_text(iqa, folders, tmp_path):
    done = iqa("maps", *folders, "-m", "Error,SSIM", "-m", "ssim", "--limits", "SSIM=1,0.5", "-o", "out")
    assert done.exit_code == 0, done.output
    found = rows(tmp_path / "out")
    assert [row["metric"] for row in found] == ["error", "ssim"] * 3
    assert {row["brightest"] for row in found if row["metric"] == "ssim"} == {"0.5"}


def test_bare_picture_has_one_pixel_per_pixel(iqa, folders, tmp_path):
    image = np.asarray(Image.open(folders[1] / "1.png"))
    Image.fromarray(image).save(folders[0] / "1.png")
    iqa("maps", *folders, "-m", "error", "--bare", "-o", "out")
    drawn = np.asarray(Image.open(tmp_path / "out" / "1-error.png"))
    assert drawn.shape == (64, 64, 3)
    assert drawn.max() <= 4


def test_one_bad_pair_leaves_the_others(iqa, folders, tmp_path):
    (folders[0] / "1.png").write_bytes(b"no 2-D image")
    done = iqa("maps", *folders, "-m", "error", "--bare", "-o", "out")
    assert done.exit_code == 1
    assert "1.png" in done.output
    assert {row["pair_id"] for row in rows(tmp_path / "out")} == {"0", "2"}


def test_metric_that_cannot_start_leaves_the_others(iqa, folders, tmp_path):
    done = iqa(
        "maps", *folders, "-m", "lpips", "-m", "error", "--bare", "-o", "out",
        IQA_OFFLINE="1", IQA_WEIGHTS_DIR=str(tmp_path / "none"), TORCH_HOME=str(tmp_path / "none"),
    )  # fmt: skip
    assert done.exit_code == 1
    assert "lpips cannot start" in done.output
    assert {row["metric"] for row in rows(tmp_path / "out")} == {"error"}


def test_mask_gives_rows_of_its_own(iqa, folders, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    iqa("maps", *folders, "-m", "error", "--mask", tmp_path / "mask.png", "--bare", "-o", "out")
    assert [row["region"] for row in rows(tmp_path / "out")] == ["image", "mask"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "psnr"], "psnr has no map; choose among error"),
        (["-m", "eror"], "Did you mean 'error'"),
        (["-m", "FID"], "compares two sets of images"),
        (["-m", "error", "--limits", "ssim=1,0"], "which is not drawn"),
        (["-m", "error", "--limits", "error"], "METRIC=EQUAL,FAR"),
        (["-m", "ssim:windw=7"], "no parameter 'windw'"),
        (["-m", "error", "--resample", "yes"], "is not 'reference'"),
    ],
)
def test_wrong_usage_ends_with_2(iqa, folders, arguments, message):
    done = iqa("maps", *folders, *arguments, "-o", "out")
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.splitlines()) <= 2


def test_output_is_required(iqa, folders):
    done = iqa("maps", *folders)
    assert done.exit_code == 2
    assert "--output" in done.output
