import importlib.metadata
import json
import sys
from typing import ClassVar

import numpy as np
import pytest
import torch

from command_line import run_in_process
from iqa_registry.datasets import Dataset, Subject
from iqa_registry.errors import ImageError, MissingExtraError, UsageError
from iqa_registry.images.formats import Image
from iqa_segmentation.nnunet import NnUNet
from iqa_segmentation.nnunet_predictor import unchanged
from iqa_segmentation.plans import make_plans
from iqa_segmentation.training.augment import CHANGES, augment
from iqa_segmentation.training.loop import Recipe, dice_and_entropy, train
from iqa_segmentation.training.run import Plan, run
from iqa_segmentation.training.samples import Samples, collect, collect_synthesized, planes
from iqa_segmentation.training.scores import measure

DATA = "phantom:pairs=3,per_subject=1,size=128,seed=101,lesions=1"
TINY = ["--dataset", DATA, "--size", 128, "--steps", 3, "--batch-size", 2, "--device", "cpu"]


class Discs(Dataset):
    """Bright discs are lesions; the volume has two slices."""

    label_names: ClassVar = {"lesions": (2,)}

    def pairs(self):
        yield from ()

    def subjects(self):
        for number in range(3):
            plane = np.zeros((40, 40), np.float32)
            plane[4:36, 4:36] = 0.4
            labels = (plane > 0).astype(np.uint8)
            plane[10 : 16 + number, 10:20] = 0.9
            labels[10 : 16 + number, 10:20] = 2
            yield Subject(str(number), {"t1": plane, "t2": plane / 2}, labels if number else None)


def test_every_modality_of_a_subject_with_labels_is_a_slice():
    samples = collect(Discs(), 48)
    assert samples.subjects == ("1", "1", "2", "2")
    assert samples.modalities == ("t1", "t2", "t1", "t2")
    assert samples.lesions.sum(dim=(1, 2)).tolist() == [70, 70, 80, 80]
    assert samples.images.shape == (4, 48, 48)
    assert samples.images[0][samples.lesions[0]].min() == samples.images.max() == 255
    first, last = samples.split(0.1)
    assert (first.subjects, last.subjects) == (("1", "1"), ("2", "2"))


def test_a_dataset_that_cannot_teach():
    class Nothing(Discs):
        label_names: ClassVar = {}

    with pytest.raises(UsageError, match="has no labels called lesions"):
        collect(Nothing(), 48)
    with pytest.raises(UsageError, match="training needs two, one of them held out"):
        collect(Discs(), 48).take([0, 1]).split(0.5)


def test_augmentation_moves_lesions_with_their_images():
    disc = np.pad(np.ones((20, 20), np.float32), 22)
    images = torch.from_numpy(disc).repeat(30, 1, 1, 1)
    moved, lesions = augment(images.clone(), images > 0, torch.Generator().manual_seed(0))
    assert 0 <= moved.min() < moved.max() <= 1
    overlap = torch.stack(
        [image[lesion].mean() - image[~lesion].mean() for image, lesion in zip(moved, lesions, strict=True)]
    )
    assert overlap.min() > 0.2
    assert lesions.flatten(1).sum(dim=1).unique().numel() > 20


@pytest.mark.parametrize("change", [change for _, change in CHANGES])
def test_each_change_alters_images_and_follows_its_seed(change, images):
    first, second = (change(images[:3].clone(), torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == images[:3].shape
    assert (first - images[:3]).abs().max() > 0.005


def test_the_loss_is_cross_entropy_less_dice():
    logits = torch.zeros(1, 2, 1, 4)
    lesions = torch.tensor([[[True, False, False, False]]])
    expected = np.log(2) - (2 * 0.5) / (4 * 0.5 + 1)
    assert float(dice_and_entropy(logits, lesions)) == pytest.approx(expected, abs=1e-5)


def test_training_learns_what_is_bright():
    samples = collect(Discs(), 48)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1))
    images = samples.images[:, None] / 255
    before = dice_and_entropy(network(images), samples.lesions).item()
    train(network, samples, Recipe(steps=40, batch=4, rate=0.1))
    assert dice_and_entropy(network(images), samples.lesions).item() < before - 0.1
    assert not network.training


def test_scores_of_a_segmenter_that_finds_half():
    class Half:
        def mask(self, images):
            found = torch.zeros_like(images, dtype=torch.bool)
            found[..., :2, :] = True
            return found

    lesions = torch.zeros(3, 4, 4, dtype=torch.bool)
    lesions[0, :1] = True
    samples = Samples(torch.zeros(3, 4, 4, dtype=torch.uint8), lesions, ("t1", "t2", "t1"), ("a", "b", "c"))
    first, second, both = measure(Half(), samples)
    assert first == {
        "modality": "t1",
        "slices": 1,
        "dice": 0.6667,
        "healthy": 1,
        "false_alarms": 1.0,
        "false_area": 8.0,
    }
    assert second["dice"] is None
    assert both["healthy"] == 2


def test_train_writes_a_folder_that_nnunet_reads(tmp_path):
    done = run_in_process("segment", "train", *TINY, "--channels", "4+8", "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["command"].startswith(
        f"iqa segment train --dataset {DATA} --framework nnunet --channels 4+8 --size 128"
    )
    assert [row["modality"] for row in record["held_out"]] == ["t1", "t2", "pd", "flair", "all"]
    with unchanged():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(tmp_path / "out"), (0,))
        image = np.random.default_rng(0).random((1, 1, 90, 100), dtype=np.float32)
        labels = predictor.predict_single_npy_array(image, {"spacing": [999.0, 1.0, 1.0]})
    np.testing.assert_array_equal(labels[0], NnUNet(str(tmp_path / "out"))(image[0, 0]))


def test_the_same_seed_trains_the_same_weights_and_a_start_continues(tmp_path):
    options = ["segment", "train", *TINY, "--channels", "4+8"]
    for name in ("a", "b"):
        assert run_in_process(*options, "-o", tmp_path / name).returncode == 0
    assert run_in_process(*options, "--start", tmp_path / "a", "-o", tmp_path / "c").returncode == 0
    first, second, third = (
        torch.load(tmp_path / name / "fold_0" / "checkpoint_final.pth", weights_only=True)["network_weights"]
        for name in ("a", "b", "c")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], third[key]) for key in first)


def test_a_plain_model_is_trained_where_nnunet_is_not_installed(tmp_path, monkeypatch):
    installed = importlib.metadata.version

    def version(package):
        if package == "nnunetv2":
            raise importlib.metadata.PackageNotFoundError(package)
        return installed(package)

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setitem(sys.modules, "nnunetv2", None)
    plan = Plan("nnunet", Recipe(2, batch=2), "", (4, 8), 64, 0.1, None, "")
    run(plan, Discs(), tmp_path, (lambda *_: None, lambda *_: None))
    assert json.loads((tmp_path / "training.json").read_text())["versions"].keys() == {"torch"}


def test_train_monai_writes_a_file_that_says_its_shape(tmp_path):
    out = tmp_path / "net" / "model.safetensors"
    command = ["segment", "train", "--framework", "monai", *TINY, "--channels", "4+8+8", "-o", out.parent]
    done = run_in_process(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"--segmenter monai:weights={out}" in done.stdout
    assert "--architecture AttentionUnet" in json.loads(out.with_suffix(".json").read_text())["command"]
    shown = run_in_process(
        "segment", "evaluate", "--segmenter", f"monai:weights={out}", "--dataset", DATA, "--size", 128
    )
    assert shown.returncode == 0
    assert "flair" in shown.stdout
    assert "takes a folder" in run_in_process(*command[:-1], out).stderr


def test_plans_and_channels_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="a patch of 100 pixels cannot be halved 5 times"):
        make_plans("x", patch=100)
    done = run_in_process("segment", "train", *TINY, "--channels", "4,8", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "expected whole numbers joined by +" in done.stderr


def test_synthesized_images_come_with_their_own_name():
    from iqa_registry.registry import build_registry

    samples = collect_synthesized(build_registry().dataset(DATA), 128)
    assert samples.modalities == ("synthesized t2",) * 3
    assert samples.lesions.flatten(1).any(dim=1).all()


def test_slices_are_chosen_as_everywhere():
    volume = Image(np.arange(24, dtype=np.float32).reshape(2, 2, 6), is_volume=True)
    assert [len(planes(volume, chosen)) for chosen in (None, "1:5:2", "3", "2:")] == [6, 2, 1, 4]


def test_a_label_map_of_another_shape_is_refused():
    class Cut(Discs):
        def subjects(self):
            for subject in super().subjects():
                yield Subject(subject.name, subject.images, np.ones((40, 39), np.uint8))

    with pytest.raises(
        ImageError, match=r"t1 image has the shape \(1, 40, 40\), its label map \(1, 40, 39\)"
    ):
        collect(Cut(), 48)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--batch", 0], "--batch-size"),
        (["--held-out", 1.5], "--held-out-share"),
        (["--device", "gpu7"], "expected auto, cpu, cuda"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, options, says):
    done = run_in_process("segment", "train", *TINY, *options, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_would_fail_after_training_fails_before(tmp_path, monkeypatch):
    (tmp_path / "out").write_text("")
    done = run_in_process("segment", "train", *TINY, "-o", tmp_path / "out")
    assert "takes a folder" in done.stderr
    unknown = ["--framework", "monai", "--architecture", "Unet", "-o", tmp_path / "net"]
    assert "no architecture 'Unet', only" in run_in_process("segment", "train", *TINY, *unknown).stderr
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plan = Plan("monai", Recipe(1), "SegResNet", None, 128, 0.1, None, "")
    with pytest.raises(MissingExtraError, match=r"iqa-registry\[segment\]"):
        run(plan, Discs(), tmp_path / "net.safetensors", (print, print))
