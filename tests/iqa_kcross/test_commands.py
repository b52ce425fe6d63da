"""``iqa kcross``: the command line of training."""

import json

import pytest
import torch

from command_line import run_in_process
from iqa_kcross.branch import BranchSettings
from iqa_kcross.checkpoint import History, save_model
from iqa_kcross.model import KCrossModel, ModelSettings

QUICK = (
    *(
        "--dataset",
        "phantom:pairs=24,seed=3,size=128,lesions=1",
        "--lesions",
        "dataset",
        "--segmenter",
        "labels",
    ),
    *("--size", "128", "--width", "4", "--steps-one", "2", "--steps-two", "5"),
    *(
        "--set",
        "stage_one.batch_size=2",
        "--set",
        "stage_one.perceptual=none",
        "--set",
        "run.accelerator=cpu",
    ),
)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    settings = ModelSettings(branch=BranchSettings(width=4))
    save_model(KCrossModel(settings, training=True), path, History("phantom:seed=1", True))
    return path


def test_training_and_scoring_from_the_command_line(tmp_path):
    done = run_in_process("kcross", "train", *QUICK, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    model = tmp_path / "run" / "model.safetensors"
    assert str(model) in done.stdout
    scored = run_in_process(
        *(
            "evaluate",
            "--dataset",
            "phantom:pairs=2,seed=9,size=128",
            "--lesions",
            "dataset",
            "--details",
            "--json",
        ),
        *("--metric", f"kcross:weights={model},segmenter=labels"),
    )
    rows = json.loads(scored.stdout)
    rows = rows if isinstance(rows, list) else rows["rows"]
    assert {row["component"] for row in rows} == {"", "complex", "tumor", "structure"}


def test_stage_two_alone_begins_with_a_given_model(tmp_path, model):
    done = run_in_process(
        "kcross", "train", *QUICK, "--stage", "two", "--start", model, "-o", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "run" / "stage-one").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "t2", "--dataset", "phantom"), "are both t2"),
        ((), "stage one needs subjects"),
        (("--stage", "two", "--ratings", "r.csv"), "ratings without pairs"),
        (("--stage", "two", "--dataset", "phantom"), "Train stage one first"),
        (("--dataset", "phantom", "--set", "width"), "expected SECTION.NAME=VALUE"),
        (("--config", "absent.toml"), "absent.toml: cannot be read"),
    ],
)
def test_what_is_missing_is_said(tmp_path, arguments, message):
    done = run_in_process("kcross", "train", *arguments, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_precision_is_called_as_everywhere(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        "iqa_kcross.commands._check_data", lambda config, _: seen.append(config.run.precision) or 1 / 0
    )
    for given in ("bf16", "bf16-mixed", "auto"):
        run_in_process("kcross", "train", *QUICK, "--precision", given, "-o", tmp_path / "run")
    assert seen == ["bf16-mixed", "bf16-mixed", "auto"]


def test_export_and_describe(tmp_path, model):
    done = run_in_process("kcross", "export", model, tmp_path / "small.safetensors")
    assert "MB" in done.stdout
    shown = run_in_process("kcross", "describe", tmp_path / "small.safetensors", "--json")
    assert json.loads(shown.stdout)["width"] == 4
    readable = run_in_process("kcross", "describe", tmp_path / "small.safetensors")
    assert "simulated   True" in readable.stdout


def test_settings_are_listed():
    done = run_in_process("kcross", "settings")
    assert "stage_two.identity_share" in done.stdout
    assert json.loads(run_in_process("kcross", "settings", "--json").stdout)[0]["setting"] == "data.data"
