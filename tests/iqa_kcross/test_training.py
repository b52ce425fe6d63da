"""Training: both stages on a small phantom, alone and after an interruption, and what is rejected."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from iqa_kcross.checkpoint import load_model, read_settings
from iqa_kcross.metric import KCross
from iqa_kcross.model import KCrossModel
from iqa_kcross.training import images as training_images
from iqa_kcross.training import run, stage_one, stage_two
from iqa_kcross.training.config import describe_config, read_config
from iqa_kcross.training.rated import read_rated
from iqa_kcross.training.trainer import read_checkpoint
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError
from iqa_registry.registry import build_registry

SMALL = {
    "data.data": "phantom:pairs=40,seed=3,size=128,lesions=1",
    "data.lesions": "dataset",
    "data.segmenter": "labels",
    "data.size": 128,
    "network.width": 4,
    "stage_one.steps": 4,
    "stage_one.batch_size": 2,
    "stage_one.perceptual": "none",
    "stage_two.steps": 30,
    "run.checkpoint_every": 2,
    "run.accelerator": "cpu",
}


@pytest.fixture(scope="module")
def registry():
    return build_registry()


@pytest.fixture(scope="module")
def begin(registry):
    return lambda folder, **changes: run.open_run(
        read_config(None, SMALL | changes), folder, registry, progress_bar
    )


@pytest.fixture(scope="module")
def trained(begin, tmp_path_factory):
    """A finished run; the model after stage one, and the final one."""
    session = begin(tmp_path_factory.mktemp("trained") / "run")
    first = run.run_stage_one(session)
    return session, first, run.run_stage_two(session, first)


def test_both_stages_leave_models_and_logs(trained):
    session, _, final = trained
    _, history = read_settings(final)
    assert history.simulated
    assert set(history.stages) == {"stage-one", "stage-two"}
    assert history.stages["stage-two"]["pairs"] == 32
    log = pl.read_csv(session.folder / "stage-one" / "csv" / "metrics.csv")
    assert {"train_frequency", "train_tumor", "train_structure", "train_similarity"} <= set(log.columns)
    assert list((session.folder / "stage-two" / "tensorboard").glob("events*"))
    assert json.loads((session.folder / "config.json").read_text())["network"]["width"] == 4


def test_stage_two_leaves_encoders_alone_and_trains_the_rest(trained):
    _, first, final = trained
    before, after = (load_model(path)[0].state_dict() for path in (first, final))
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert not [name for name in changed if "encoder" in name]
    assert {"score_networks.natural.0.weight", "branches.complex.projection.real"} <= changed
    assert "branches.tumor.mean" in changed


def test_the_model_learned_something(trained, registry):
    """Thirty steps are enough to order errors of the phantom better than by chance."""
    from iqa_registry.statistics.inconsistency import chance, inconsistency

    dataset = registry.dataset(SMALL["data.data"])
    rated = read_rated(trained[0].config.data, registry)
    model = load_model(trained[2])[0].finish()
    options = training_images.options_of(trained[0].config.data, dataset)
    described = stage_two.describe_pairs(KCross(model), rated.items, options)
    scores = torch.stack(list(model.scores_of(described).values())).nanmean(dim=0).detach().double().numpy()
    assert inconsistency(scores, np.array(rated.ratings)) < 0.8 * chance(np.array(rated.ratings))


def test_a_finished_run_is_not_done_again(trained, begin):
    session, _, final = trained
    changed = final.stat().st_mtime_ns
    again = begin(session.folder)
    assert run.run_stage_two(again, run.run_stage_one(again)) == final
    assert final.stat().st_mtime_ns == changed


def test_an_interrupted_stage_goes_on(begin, tmp_path, monkeypatch):
    """Stopped in its third step of four, the stage begins again after the checkpoint of its second."""
    steps = []
    step = stage_one.StageOne.training_step

    def failing(self, batch, index):
        steps.append(self.global_step)
        if self.global_step == 2 and steps.count(2) == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(stage_one.StageOne, "training_step", failing)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run.run_stage_one(begin(tmp_path / "run"))
    assert not (tmp_path / "run" / "stage-one" / "model.safetensors").exists()
    run.run_stage_one(begin(tmp_path / "run"))
    assert steps == [0, 1, 2, 2, 3]


class Touch:
    """Unpickled freely, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_foreign_checkpoint_runs_no_code(begin, tmp_path, name):
    session = begin(tmp_path / "run")
    folder = tmp_path / "run" / ("stage-one" if name == "last.ckpt" else "stage-two")
    folder.mkdir()
    torch.save({"state_dict": {}, "loops": Touch(tmp_path / "ran")}, folder / name)
    if name == "last.ckpt":
        with pytest.raises(UsageError, match=r"last\.ckpt is damaged, or holds more than tensors"):
            run.run_stage_one(session)
    with pytest.raises(UsageError, match="could run any code"):
        read_checkpoint(folder / name)
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_other_settings_is_refused(trained, begin, tmp_path):
    with pytest.raises(UsageError, match=r"begun with network\.width = 4, not 8"):
        begin(trained[0].folder, **{"network.width": 8})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty and not a training run"):
        begin(tmp_path)


def test_gradients_reach_what_a_stage_trains_and_nothing_else(begin, tmp_path):
    session = begin(tmp_path / "run")
    model = KCrossModel(session.config.model, training=True)
    stage_one.freeze_for_stage_one(model)
    batch = {
        name: torch.rand(2, 1, 64, 64)
        if "lesions" not in name
        else torch.ones(2, 1, 64, 64, dtype=torch.bool)
        for name in ("source", "target", "source_lesions", "target_lesions")
    }
    module = stage_one.StageOne(model, session.config.stage_one)
    torch.stack(list(module.losses(batch).values())).sum().backward()
    trained = {id(parameter) for parameter in stage_one.trained_in_stage_one(model)}
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) in trained), name
    assert not any(
        name.startswith("score_networks") and p.grad is not None for name, p in model.named_parameters()
    )


def test_random_sets_are_all_equally_likely():
    torch.manual_seed(0)
    applies = torch.tensor([True, False, True, True])[:, None].expand(4, 70_000)
    used = stage_two.random_sets(applies)
    codes = (used * torch.tensor([1, 2, 4, 8])[:, None]).sum(dim=0)
    counts = torch.bincount(codes, minlength=16).float() / 70_000
    expected = torch.zeros(16)
    expected[[1, 4, 5, 8, 9, 12, 13]] = 1 / 7
    torch.testing.assert_close(counts, expected, atol=0.006, rtol=0)


def test_the_split_is_by_subject():
    names = [f"s{number // 8}" for number in range(80)]
    held_out = run.held_out_subjects(names, 0.2, seed=5)
    assert len(held_out) == 2
    assert run.held_out_subjects(list(reversed(names)), 0.2, seed=5) == held_out


def test_ratings_may_stand_in_a_table(registry, tmp_path):
    place = "phantom:pairs=16,seed=3,size=128"
    table = registry.dataset(place).table().select("pair_id").with_columns(rating=pl.lit(5.0))
    table.head(9).write_csv(tmp_path / "ratings.csv")
    changes = {
        "data.data": place,
        "data.ratings": str(tmp_path / "ratings.csv"),
        "data.rating_range": [0, 10],
    }
    rated = read_rated(read_config(None, SMALL | changes).data, registry)
    assert len(rated.items) == 9
    assert set(rated.ratings) == {0.5}


def test_ratings_outside_their_range_are_refused(registry, tmp_path):
    table = registry.dataset(SMALL["data.data"]).table().select("pair_id").with_columns(rating=pl.lit(7.0))
    table.write_csv(tmp_path / "ratings.csv")
    data = read_config(None, SMALL | {"data.ratings": str(tmp_path / "ratings.csv")}).data
    with pytest.raises(UsageError, match=r"ratings go from 7 to 7, outside \[0, 1\]. .*data\.rating_range"):
        read_rated(data, registry)


def test_pairs_of_other_modalities_are_refused(registry):
    data = read_config(None, SMALL | {"data.target": "flair"}).data
    with pytest.raises(UsageError, match=r"target is t2, but the model is trained for flair"):
        read_rated(data, registry)


def test_subjects_without_the_modality_are_refused(registry):
    data = read_config(None, SMALL | {"data.target": "ct"}).data
    with pytest.raises(UsageError, match="has no ct image, only t1, t2, pd, flair"):
        training_images.read_subjects(registry.dataset(SMALL["data.data"]), data, None)


def test_settings_come_from_a_file_and_from_options(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text('[network]\nwidth = 16\n[stage_one]\nweights = { tumor = 0.5 }\n[data]\nlesions = "4"\n')
    config = read_config(path, {"network.width": "32", "data.lesions": "4,5"})
    assert (config.network.width, config.data.lesions) == (32, "4,5")
    assert config.stage_one.weights == {"tumor": 0.5}
    assert {"network.width", "stage_two.identity_share"} <= {name for name, _, _ in describe_config()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network.depth": 3}, r"network\.depth: Extra inputs"),
        ({"stage_one.steps": "none"}, r"stage_one\.steps: .*integer"),
        ({"width": 3}, "expected SECTION.NAME=VALUE"),
        ({"data.size": 100}, "multiple of 32"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        read_config(None, changes)
