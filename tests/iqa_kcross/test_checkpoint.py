"""Model files: what goes in comes out, and what does not fit is rejected with the file's name."""

import json

import pytest
import torch
from safetensors.torch import save_file

from iqa_kcross.branch import BranchSettings, Context
from iqa_kcross.checkpoint import History, describe_file, load_model, read_settings, save_model
from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_registry.errors import WeightsError

SMALL = ModelSettings(branch=BranchSettings(width=4, source="t2", target="flair"))
HISTORY = History("phantom:seed=1", True, "none", "phantom:seed=2", {"stage-one": {"steps": 3}})


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = KCrossModel(SMALL, training=True)
    path = tmp_path / "model.safetensors"
    save_model(model, path, HISTORY)
    return model, path


def test_a_model_comes_back_with_its_settings_and_history(saved):
    model, path = saved
    loaded, history = load_model(path, training=True)
    assert loaded.settings == SMALL
    assert history == HISTORY
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_an_exported_model_scores_the_same_and_is_smaller(saved, tmp_path):
    path = saved[1]
    exported = tmp_path / "exported.safetensors"
    save_model(load_model(path)[0], exported, HISTORY, for_scoring=True)
    assert exported.stat().st_size < 0.7 * path.stat().st_size
    images = torch.rand(2, 1, 64, 64)
    first, second = (load_model(item)[0].eval().encode(images, Context()) for item in (path, exported))
    assert torch.equal(first["structure"][0], second["structure"][0])


def test_a_part_of_the_branches_can_be_read(saved):
    model, _ = load_model(saved[1], branches=["structure"])
    assert list(model.branches) == ["structure"]


def test_an_exported_model_cannot_begin_stage_one(saved, tmp_path):
    exported = tmp_path / "exported.safetensors"
    save_model(saved[0], exported, HISTORY, for_scoring=True)
    with pytest.raises(WeightsError, match=r"exported\.safetensors: exported for scoring"):
        load_model(exported, training=True)


def test_a_branch_that_the_file_lacks_is_named(tmp_path):
    path = tmp_path / "healthy.safetensors"
    settings = ModelSettings(("complex", "structure"), SMALL.branch)
    save_model(KCrossModel(settings), path, HISTORY)
    with pytest.raises(WeightsError, match="has no branch tumor, only complex, structure"):
        load_model(path, branches=["complex", "tumor"])


def test_other_files_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        read_settings(tmp_path / "absent.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("not tensors")
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(1)}, other)
    for path, message in ((text, "a damaged safetensors file"), (other, "not a model of K-CROSS")):
        with pytest.raises(WeightsError, match=f"{path.name}: {message}"):
            read_settings(path)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "future.safetensors"
    save_file({"weight": torch.ones(1)}, path, metadata={"iqa_kcross": json.dumps({"format": 99})})
    with pytest.raises(WeightsError, match="another version of iqa-registry"):
        read_settings(path)


def test_tensors_that_do_not_fit_are_refused(saved, tmp_path):
    from safetensors import safe_open

    with safe_open(saved[1], framework="pt") as file:
        metadata = file.metadata()
    path = tmp_path / "cut.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in saved[0].state_dict().items()}
    tensors["branches.structure.mean"] = torch.zeros(3)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(WeightsError, match=r"cut\.safetensors: tensors do not fit: .*structure\.mean"):
        load_model(path)


def test_a_file_tells_what_it_is(saved):
    facts = describe_file(saved[1])
    assert facts["width"] == 4
    assert facts["target"] == "flair"
    assert facts["simulated"] is True
    assert facts["stage-one"] == {"steps": 3}
