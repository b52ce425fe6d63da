"""``iqa evaluate`` as users call it: exit codes, streams, what is said."""

import csv
import io
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from iqa_registry import evaluate
from iqa_registry.evaluation.store import read_run


def test_folders_give_a_summary(iqa, folders):
    done = iqa("evaluate", *folders, "--metric", "mae", "--metric", "ssim")
    assert done.returncode == 0, done.stderr
    assert "mae ↓" in done.stdout
    assert "ssim ↑" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "as independent" in line
    assert "{subject}" in line


def test_a_wrong_group_is_named_before_anything_is_scored(iqa, folders):
    (folders[0] / "1.png").write_bytes(b"no image")
    done = iqa("evaluate", *folders, "--metric", "mae", "--group-by", "pair")
    assert done.returncode == 2
    assert done.stderr == "iqa: error: The table has no column 'pair'. Did you mean 'pair_id'?\n"


def test_images_that_equal_their_references_are_said_once(iqa, folders):
    done = iqa("evaluate", folders[0], folders[0], "--metric", "psnr")
    assert done.stderr.count("note: every synthesized image equals its reference.") == 1
    mixed = iqa("evaluate", *folders, "--metric", "psnr")
    assert "equals" not in mixed.stderr


def write_volume(path, values):
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0])), path)


@pytest.fixture
def tissue(tmp_path):
    """A CT-like pair in which the last four of ten slices are air, -1000, in both."""
    reference = np.full((16, 16, 10), -1000.0)
    reference[2:14, 2:14, :6] = np.random.default_rng(3).uniform(0, 100, (12, 12, 6))
    synthesized = reference.copy()
    synthesized[2:14, 2:14, :6] += 20
    write_volume(tmp_path / "f.nii.gz", synthesized)
    write_volume(tmp_path / "r.nii.gz", reference)
    return synthesized, reference


def test_slices_that_are_empty_in_both_images_do_not_enter_the_mean(iqa, tissue):
    command = ("evaluate", "f.nii.gz", "r.nii.gz", "--metric", "mae", "--intensity", "range=-2000,1000")
    done = iqa(*command)
    assert done.returncode == 0, done.stderr
    expected = np.abs(tissue[0] - tissue[1])[:, :, :6].mean() / 3000
    row = done.stdout.splitlines()[2].split()
    assert row[4] == "6"
    assert float(row[5]) == pytest.approx(expected, abs=6e-5)
    assert "both images are empty (score them with --empty score) (4 rows)" in done.stderr
    scored = iqa(*command, "--empty", "score")
    assert scored.stdout.splitlines()[2].split()[4] == "10"


def test_a_mask_that_does_not_reach_a_slice_is_no_failure(iqa, tissue):
    mask = np.zeros((16, 16, 10))
    mask[4:8, 4:8, :3] = 1
    write_volume("mask.nii.gz", mask)
    limits = ("--intensity", "range=-2000,1000", "--mask", "mask.nii.gz")
    done = iqa("evaluate", "f.nii.gz", "r.nii.gz", "--metric", "mae", *limits)
    assert done.returncode == 0, done.stderr
    assert "the mask is empty (3 rows)" in done.stderr


def test_errors_in_hounsfield_units(iqa, tissue):
    command = (
        "evaluate",
        "f.nii.gz",
        "r.nii.gz",
        "--metric",
        "mae:dimensions=3",
        "--metric",
        "rmse:dimensions=3",
    )
    done = iqa(*command, "--intensity", "range=-1000,2000", "--units", "native")
    difference = tissue[0] - tissue[1]
    means = [float(line.split()[5]) for line in done.stdout.splitlines()[2:]]
    assert means == pytest.approx([np.abs(difference).mean(), np.sqrt((difference**2).mean())], abs=1e-3)
    assert "lower bounds" not in done.stderr
    clipped = iqa(*command, "--intensity", "range=-1000,50", "--units", "native")
    assert "errors in native units are lower bounds" in clipped.stderr


def test_one_subject_gives_no_interval_and_says_why(iqa, tissue):
    done = iqa("evaluate", "f.nii.gz", "r.nii.gz", "--metric", "mae")
    assert " to " not in done.stdout
    assert "one subject gives no interval" in done.stderr


def test_csv_is_the_table(iqa, folders):
    done = iqa("evaluate", *folders, "--metric", "mae", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    expected = np.abs(
        np.asarray(Image.open(folders[0] / "1.png"), float)
        - np.asarray(Image.open(folders[1] / "1.png"), float)
    )
    assert [row["pair_id"] for row in rows] == ["0", "1", "2"]
    assert float(rows[1]["score"]) == pytest.approx(expected.mean() / 255, abs=1e-6)


def test_json_is_strict_json(iqa, folders):
    done = iqa("evaluate", folders[0], folders[0], "--metric", "psnr", "--json")
    rows = json.loads(done.stdout, parse_constant=pytest.fail)
    assert [(row["score"], row["status"]) for row in rows] == [(None, "infinite")] * 3


def test_an_infinite_score_is_a_score_everywhere_but_in_json(iqa, folders, tmp_path):
    done = iqa("evaluate", folders[0], folders[0], "--metric", "psnr", "--strict", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    table = evaluate([(folders[0] / "0.png", folders[0] / "0.png")], ["psnr"])
    for kept in (table, read_run(tmp_path / "run")):
        assert set(kept.select("score", "status").rows()) == {(float("inf"), "ok")}


def test_without_images_the_sample_is_scored(iqa):
    done = iqa("evaluate", "--metric", "psnr")
    assert done.returncode == 0, done.stderr
    assert "sample" in done.stderr
    assert "psnr ↑" in done.stdout


def test_a_manifest_with_groups(iqa, folders, tmp_path):
    lines = ["synthesized,reference,model"]
    lines += [f"synthesized/{n}.png,reference/{n}.png,{'ab'[n % 2]}" for n in range(3)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    done = iqa("evaluate", "--pairs", "pairs.csv", "--metric", "mae", "--group-by", "model")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["a", "b"]


def test_unmatched_files_are_named(iqa, folders):
    (folders[0] / "2.png").unlink()
    done = iqa("evaluate", *folders, "--metric", "mae")
    assert done.returncode == 1
    assert "2.png" in done.stderr


def test_an_unknown_metric_is_wrong_usage(iqa, folders):
    done = iqa("evaluate", *folders, "--metric", "sism")
    assert done.returncode == 2
    assert "Did you mean 'ssim'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_parameter_is_wrong_usage(iqa, folders):
    done = iqa("evaluate", *folders, "--metric", "ssim:widow=7")
    assert done.returncode == 2
    assert "'window'" in done.stderr


def test_an_unknown_option_is_wrong_usage(iqa):
    assert iqa("evaluate", "--mertic", "ssim").returncode == 2


def test_a_metric_without_weights_is_said_first_and_the_others_run(iqa, folders, tmp_path):
    done = iqa(
        "evaluate", *folders, "--metric", "mae", "--metric", "dists",
        IQA_OFFLINE="1", IQA_WEIGHTS_DIR=str(tmp_path / "none"), TORCH_HOME=str(tmp_path / "none"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "dists" in done.stderr
    assert "iqa weights fetch" in done.stderr
    assert "mae ↓" in done.stdout


def test_a_run_folder_goes_on(iqa, folders):
    first = iqa("evaluate", *folders, "--metric", "mae", "-o", "run")
    again = iqa("evaluate", *folders, "--metric", "mae", "-o", "run")
    assert (first.returncode, again.returncode) == (0, 0)
    assert again.stdout == first.stdout
    refused = iqa("evaluate", *folders, "--metric", "mae", "-o", "run", "--intensity", "range=0,200")
    assert refused.returncode == 2
    assert "intensity" in refused.stderr


def test_strict_stops(iqa, folders):
    (folders[0] / "1.png").write_bytes(b"no 2-D image")
    done = iqa("evaluate", *folders, "--metric", "mae", "--strict", "--batch-size", "1")
    assert done.returncode == 1
    assert "--strict" in done.stderr
    assert "1.png" in done.stderr


def test_debug_shows_the_traceback(iqa, folders):
    assert "Traceback" in iqa("evaluate", *folders, "--metric", "sism", "--debug").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--csv"),
        ("--fresh",),
        ("--resample", "template"),
        ("--batch-size", "many"),
        ("--device", "tpu"),
        ("--device", "cuda:99"),
        ("--regions", "tumor"),
        ("--pairs", "a.csv", "--dataset", "nirps:x"),
        ("--dataset", "nothing:x"),
        ("--intensity", "bright"),
    ],
)
def test_contradictions_are_wrong_usage(iqa, arguments):
    done = iqa("evaluate", "--metric", "mae", *arguments)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_volumes_are_sliced_along_several_axes(iqa, tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / "fake.nii.gz", tmp_path / "real.nii.gz"]
    for path in paths:
        nib.save(nib.Nifti1Image(rng.random((8, 9, 10)).astype(np.float32), np.eye(4)), path)
    call = ("evaluate", *paths, "-m", "mae", "--planes", "axial+sagittal", "--slices", "1:4")
    done = iqa(*call, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "axial" in done.stdout
    assert "sagittal" in done.stdout
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["fixed"]["options"]["planes"] == ["axial", "sagittal"]
    again = iqa(*call, "-o", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    wrong = iqa(*call, "--axis", "axial")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--planes" in wrong.stderr
    assert "contradicts" in wrong.stderr


def test_aligned_scores_are_shown_next_to_the_strict_ones(iqa, tmp_path):
    real = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    Image.fromarray(real).save(tmp_path / "real.png")
    Image.fromarray(np.roll(real, (2, -1), (0, 1))).save(tmp_path / "fake.png")
    call = (
        "evaluate",
        "fake.png",
        "real.png",
        "-m",
        "mae",
        "-m",
        "mae:dimensions=3",
        "--align",
        "translation",
    )
    done = iqa(*call, "--json")
    rows = {row["region"]: row for row in json.loads(done.stdout) if row["status"] == "ok"}
    assert rows["image"]["score"] > 0.2
    assert (rows["aligned"]["score"], rows["aligned"]["aligned_rows"]) == (0, 2)
    assert "mae:dimensions=3: no aligned scores" in done.stderr
    assert iqa(*call[:4], "mae", "--align", "translation", "--align-range", "0").returncode == 2


def test_strict_stops_at_errors_and_not_at_empty_slices(iqa, tmp_path):
    volume = np.random.default_rng(0).random((8, 8, 4)).astype(np.float32)
    volume[..., 0] = 0
    for name in ("fake", "real"):
        nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / f"{name}.nii.gz")
    call = ("evaluate", "fake.nii.gz", "real.nii.gz", "-m", "mae", "--intensity", "range=0,1", "--strict")
    assert iqa(*call).returncode == 0
    outside = iqa(*call, "--slices", "9:12")
    assert outside.returncode == 1
    assert "stopped (--strict)" in outside.stderr
