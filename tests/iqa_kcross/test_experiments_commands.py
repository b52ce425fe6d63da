"""The commands of the experiments: what is printed and written, and mistakes that say what to do."""

import json
import subprocess
import sys

import polars as pl
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from iqa_kcross.branch import BranchSettings
from iqa_kcross.checkpoint import History, save_model
from iqa_kcross.experiments.commands import COMMANDS
from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_registry.errors import IQAError

pytest.importorskip("nilearn")

DATA = "phantom:pairs=16,size=128"
NAMES = {command.name: command for command in COMMANDS}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    model = KCrossModel(ModelSettings(branch=BranchSettings(width=4)))
    save_model(model, path, History(data="phantom:seed=8", simulated=True))
    return path


@pytest.fixture
def kcross(weights, tmp_path, monkeypatch):
    """Run one of the commands; what is no IQAError goes through."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        given = ["--resamples", "50", "--weights", str(weights), *map(str, arguments)]
        done = CliRunner().invoke(NAMES[name], given)
        if done.exception is not None and not isinstance(done.exception, SystemExit | IQAError):
            raise done.exception
        return done

    return run


def test_evaluate_prints_every_branch_and_calls_simulated_data_simulated(kcross):
    done = kcross(
        "evaluate", "--dataset", DATA, "--segmenter", "labels", "-m", "psnr", "--group-by", "lesion"
    )
    assert done.exit_code == 0, done.output
    for name in ("kcross", "kcross-healthy", "kcross-complex", "kcross-tumor", "kcross-structure", "psnr"):
        assert f"{name} ↑" in done.stdout
    assert "lesion=False (simulated, with simulated raters)" in done.stdout
    assert f"{DATA}: simulated images, simulated raters, 16 images" in done.stdout
    assert "trained on phantom:seed=8, simulated" in done.stdout
    assert "against the best of them, psnr" in done.stdout


def test_evaluate_writes_what_it_prints(kcross, tmp_path):
    done = kcross(
        "evaluate", "--dataset", DATA, "--segmenter", "none", "-m", "psnr", "--csv", "--table", "out.csv"
    )
    table = pl.read_csv(tmp_path / "out.csv")
    assert done.stdout == (tmp_path / "out.csv").read_text()
    assert set(table["metric"]) == {"kcross", "kcross-healthy", "kcross-complex", "kcross-structure", "psnr"}
    compared = pl.read_csv(tmp_path / "out-comparisons.csv")
    assert compared["challenger"].to_list() == ["kcross", "kcross-healthy"]


def test_json_says_what_was_simulated(kcross, tmp_path):
    options = ("--dataset", DATA, "--segmenter", "none", "-o", "run", "--table", "out.json", "--json")
    found = json.loads(kcross("ablate", *options).stdout)
    assert found["data"] == [{"data": DATA, "simulated": True}]
    assert found["models"][0]["trained_on"] == "phantom:seed=8"
    assert {row["branches"] for row in found["rows"]} >= {"complex", "structure", "complex+structure"}
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert (tmp_path / "run" / "run.json").is_file()


def test_ablate_marks_the_best_and_says_on_how_many_images_a_branch_was_judged(kcross):
    done = kcross("ablate", "--dataset", DATA, "--segmenter", "labels")
    line = next(line for line in done.stdout.splitlines() if line.startswith("all images"))
    assert line.count("*") >= 1
    assert "(8)" in line
    assert "simulated images and raters" in done.stdout


def test_segmenters_prints_spread_and_shift(kcross):
    done = kcross("segmenters", "--dataset", DATA, "--segmenter", "labels", "--segmenter", "none")
    assert done.exit_code == 0, done.output
    assert "standard deviation, percent" in done.stdout
    assert "how far they move from those with labels" in done.stdout


def test_domain_gap_names_training_and_test_sets(kcross):
    done = kcross(
        "domain-gap", "--test", DATA, "--test", f"{DATA},seed=2", "--segmenter", "none", "-m", "psnr"
    )
    assert done.exit_code == 0, done.output
    assert "A -> 1" in done.stdout
    assert "A -> 2" in done.stdout
    assert "t1 to t2, trained on phantom:seed=8 (simulated)" in done.stdout
    assert f"2: {DATA},seed=2, 16 images (simulated images, simulated raters)" in done.stdout


def test_a_mistake_in_a_test_set_is_said_before_models_are_trained(tmp_path):
    done = CliRunner().invoke(
        NAMES["domain-gap"], ["--train", "absent.toml", "--runs", str(tmp_path / "runs"), "--test", "phantm"]
    )
    assert isinstance(done.exception, IQAError)
    assert "no dataset 'phantm'" in str(done.exception)


@pytest.fixture
def manifest(tmp_path, weights):
    """A manifest of 2-D images that are not there: whatever is wrong is said before any is read."""
    del weights
    text = "pair_id,synthesized,reference,model{0}\n" + "".join(
        f"p{number},s{number}.png,r{number}.png,unit{{1}}\n" for number in range(3)
    )
    (tmp_path / "unrated.csv").write_text(text.format("", ""))
    (tmp_path / "rated.csv").write_text(text.format(",rating,target", ",0.5,flair"))
    (tmp_path / "ratings.csv").write_text("pair_id,rating\nq1,0.5\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("evaluate --ratings ratings.csv", "ratings.csv: ratings without pairs. Name .* with --dataset"),
        ("evaluate --pairs unrated.csv", "unrated.csv: holds no ratings .* --ratings FILE"),
        ("evaluate --pairs unrated.csv --ratings ratings.csv", "unrated.csv: no image has both"),
        ("evaluate --pairs ratings.csv", "ratings.csv: has no column 'synthesized'"),
        ("ablate --pairs rated.csv --group-by modl", "rated.csv: has no column 'modl' .* 'model'"),
        ("ablate --pairs rated.csv --cluster site", "rated.csv: has no column 'site'"),
        ("evaluate --pairs rated.csv --where model=munit", "rated.csv: --where model=munit: no image"),
        (
            "evaluate --pairs rated.csv",
            "small.safetensors: is for t1 to t2, but the target of p0 in rated.csv",
        ),
        ("domain-gap --test rated.csv --segmenter labels", "rated.csv: does not name the labels of lesions"),
        ("domain-gap --test rated.csv --train x.toml", "either trained models"),
        ("domain-gap --segmenter none", "with --test"),
        ("segmenters --pairs rated.csv --segmenter none", "nothing to compare. Name two or more"),
        ("evaluate --pairs rated.csv --lesions 4 --segmenter none", "--lesions needs --segmenter labels"),
        ("evaluate --pairs rated.csv --dataset phantom", "--pairs and --dataset contradict each other"),
        ("evaluate --pairs rated.csv --fresh", "--fresh discards the scores in a folder"),
    ],
)
def test_mistakes_are_said_in_a_line_or_two(kcross, manifest, arguments, says):
    del manifest
    done = kcross(*arguments.split())
    assert isinstance(done.exception, IQAError)
    message = str(done.exception)
    assert message.count("\n") < 2
    with pytest.raises(IQAError, match=says):
        raise done.exception


def test_a_table_of_another_kind_is_wrong_usage(kcross):
    done = kcross("evaluate", "--pairs", "rated.csv", "--table", "out.txt")
    assert done.exit_code == 2
    assert "ends in .csv, .json" in done.output


def test_help_imports_nothing_heavy():
    code = "import sys, iqa_kcross.experiments.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"iqa_kcross.experiments.commands", "click"} <= set(done.stdout.split())
    assert not {"torch", "polars", "pydantic", "scipy", "numpy"} & set(done.stdout.split())


def test_images_that_are_too_small_are_said_to_be_left_out(kcross, tmp_path):
    rows = []
    for number in range(4):
        Image.new("L", (16, 16), 40 * number).save(tmp_path / f"s{number}.png")
        Image.new("L", (16, 16), 40 * number + 60).save(tmp_path / f"r{number}.png")
        rows.append({"synthesized": f"s{number}.png", "reference": f"r{number}.png", "rating": number / 4})
    pl.DataFrame(rows).write_csv(tmp_path / "small.csv")
    done = kcross("evaluate", "--pairs", tmp_path / "small.csv", "--segmenter", "none", "-m", "mae")
    assert done.exit_code == 1
    assert "kcross scored no image here" in done.output
    assert "no image is scored" in str(kcross("ablate", "--pairs", tmp_path / "small.csv").exception)


def test_training_without_lightning_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = ["--train", "a.toml", "--runs", tmp_path, "--test", "phantom"]
    done = CliRunner().invoke(NAMES["domain-gap"], list(map(str, arguments)))
    assert "iqa-registry[train]" in str(done.exception)
