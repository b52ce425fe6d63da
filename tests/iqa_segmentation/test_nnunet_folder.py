import json
import pickle

import numpy as np
import pytest
import torch

from iqa_registry.errors import WeightsError
from iqa_segmentation.nnunet import NnUNet
from iqa_segmentation.nnunet_folder import read_folder


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def resave(path, **changes):
    file = path / "fold_0" / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=True) | changes, file)


class Creates:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(
        WeightsError, match=r"nowhere: no such folder; expected a trained model of nnU-Net v2"
    ):
        read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["dataset.json", "plans.json"])
def test_a_missing_or_damaged_description_is_named(folder, name):
    path = folder()
    (path / name).write_text("{")
    with pytest.raises(WeightsError, match=f"{name}: cannot be read as JSON"):
        read_folder(path)
    (path / name).write_text("{}")
    with pytest.raises(WeightsError, match=f"{name}: has no '"):
        read_folder(path)
    (path / name).unlink()
    with pytest.raises(WeightsError, match=f"model: has no {name}; expected a trained-model folder"):
        read_folder(path)


def test_a_fold_or_checkpoint_that_is_not_there_names_what_is(folder):
    path = folder()
    (path / "fold_3").mkdir()
    with pytest.raises(WeightsError, match="fold 1 was not trained; it has 0, 3; choose one with fold="):
        read_folder(path, fold="1")
    with pytest.raises(WeightsError, match=r"fold_0: has no best.pth; it has checkpoint_final.pth; choose"):
        read_folder(path, checkpoint="best.pth")
    with pytest.raises(WeightsError, match=r"fold_3: has no checkpoint_final.pth; training is not finished"):
        read_folder(path, fold="3")


def test_several_channels_and_cascades_are_refused(folder):
    path = folder()
    edit(path / "dataset.json", channel_names={"0": "T1", "1": "FLAIR"})
    with pytest.raises(WeightsError, match=r"takes 2 channels \(T1, FLAIR\)"):
        read_folder(path)
    path = folder("cascade", change=lambda plans: plans | {"configurations": second_stage(plans)})
    with pytest.raises(WeightsError, match="second stage of a cascade"):
        read_folder(path)


def second_stage(plans):
    return {"2d": plans["configurations"]["2d"] | {"previous_stage": "3d_lowres"}}


def test_configurations_inherit(folder):
    def change(plans):
        base = plans["configurations"]["2d"]
        return plans | {"configurations": {"base": base, "2d": {"inherits_from": "base", "batch_size": 3}}}

    plain, inherited = folder("plain"), folder("inherited")
    edit(inherited / "plans.json", **change(json.loads((plain / "plans.json").read_text())))
    settings = read_folder(inherited).settings
    assert (settings["batch_size"], settings["patch_size"]) == (3, [64, 64])
    image = np.linspace(0, 1, 40 * 40, dtype=np.float32).reshape(40, 40)
    np.testing.assert_array_equal(NnUNet(str(inherited))(image), NnUNet(str(plain))(image))


def test_a_plan_without_the_trained_configuration(folder):
    path = folder()
    resave(path, init_args={"configuration": "3d_fullres"})
    with pytest.raises(WeightsError, match=r"plans.json: has no configuration '3d_fullres'"):
        read_folder(path)


def test_weights_of_another_network_are_refused(folder):
    path = folder()
    plans = json.loads((path / "plans.json").read_text())
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 16]
    edit(path / "plans.json", **plans)
    with pytest.raises(WeightsError, match=r"checkpoint_final.pth: does not fit the network of .*plans.json"):
        NnUNet(str(path))


def test_a_checkpoint_as_nnunet_writes_it_needs_no_trust(folder):
    path = folder()
    logged = {"train_losses": [np.float32(0.5), np.float64(0.25)], "ema": [np.int64(3)]}
    resave(path, logging=logged, init_args={"configuration": "2d", "device": torch.device("cpu")})
    assert read_folder(path).configuration == "2d"


def test_a_checkpoint_with_code_runs_only_where_the_user_trusts_it(folder, tmp_path):
    path, made = folder(), tmp_path / "made"
    file = path / "fold_0" / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=True) | {"extra": Creates(made)}, file)
    with pytest.raises(WeightsError, match=r"holds more than weights .* could run any code\. .* trust=true"):
        read_folder(path)
    assert not made.exists()
    assert read_folder(path, trust=True).configuration == "2d"
    assert made.exists()


def test_something_else_than_a_checkpoint(folder):
    path = folder()
    file = path / "fold_0" / "checkpoint_final.pth"
    torch.save({"weights": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match="has no network_weights, trainer_name, init_args"):
        read_folder(path)
    for content in (b"", b"hello there", pickle.dumps(3)):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match="checkpoint"):
            read_folder(path)


def test_a_trainer_that_is_not_installed(folder, images):
    path = folder()
    resave(path, trainer_name="nnUNetTrainerOfSomebody")
    with pytest.raises(WeightsError, match="was trained by 'nnUNetTrainerOfSomebody', which the installed"):
        NnUNet(str(path)).mask(images)


def test_another_trainer_of_nnunet_builds_its_own_network(folder, images):
    path = folder()
    expected = NnUNet(str(path)).mask(images)
    resave(path, trainer_name="nnUNetTrainer_5epochs")
    assert torch.equal(NnUNet(str(path)).mask(images), expected)
