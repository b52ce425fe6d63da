"""``--lesions``: label maps of the user's for metrics that look at lesions."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

PLUGIN = """
    from iqa_registry.datasets import Dataset
    from iqa_registry.images.pairs import Pair
    from iqa_registry.specs import DatasetSpec
    from toy_metrics import iqa_register_metrics

    class Healthy(Dataset):
        def __init__(self, path: str):
            super().__init__()
            self.path = path

        def pairs(self):
            for n in range(3):
                yield Pair(str(n), *(f"{self.path}/{kind}/{n}.png" for kind in ("synthesized", "reference", "labels")))

    class Patients(Healthy):
        lesion_labels = (1, 4)

    @hookimpl
    def iqa_register_datasets(register):
        for kind in (Healthy, Patients):
            name, factory = kind.__name__.lower(), f"{__name__}:{kind.__name__}"
            register(DatasetSpec(name=name, summary="toy", license="MIT", factory=factory))
"""


@pytest.fixture
def study(install, folders, tmp_path):
    """Toy metrics and datasets, and label maps of the pictures: 4 on the left, 1 on the right, 2 in between."""
    install(PLUGIN)
    (tmp_path / "labels").mkdir()
    for number in range(3):
        labels = np.full((64, 64), 2, np.uint8)
        labels[:, : 10 + number], labels[:, 50:] = 4, 1
        Image.fromarray(labels).save(tmp_path / "labels" / f"{number}.png")
    return tmp_path


@pytest.fixture
def manifest(study):
    """The last of three pairs has no label map."""
    lines = [f"synthesized/{n}.png,reference/{n}.png,{f'labels/{n}.png' if n < 2 else ''}" for n in range(3)]
    (study / "pairs.csv").write_text("\n".join(["synthesized,reference,mask", *lines]))
    return study / "pairs.csv"


def gap(folder, number, labels):
    """What the metric ``toy-lesions`` gives, by NumPy."""
    images = [
        np.asarray(Image.open(folder / kind / f"{number}.png")) / 255 for kind in ("synthesized", "reference")
    ]
    given = np.isin(np.asarray(Image.open(folder / "labels" / f"{number}.png")), labels)
    first, second = (image[given if labels else image > 0.5].mean() for image in images)
    return abs(first - second)


def scores(done):
    rows = csv.DictReader(done.stdout.splitlines())
    return [float(row["score"]) for row in rows if row["region"] == "image"]


def test_labels_of_a_manifest(iqa, study, manifest):
    done = iqa("evaluate", "--pairs", manifest, "-m", "toy-lesions", "--lesions", "4", "--csv")
    expected = [gap(study, 0, (4,)), gap(study, 1, (4,)), gap(study, 2, ())]
    assert scores(done) == pytest.approx(expected, abs=1e-6)
    assert "--lesions" not in done.stderr


def test_labels_of_a_folder_of_masks(iqa, study):
    arguments = ("synthesized", "reference", "--mask", "labels", "-m", "toy-lesions", "--csv")
    done = iqa("evaluate", *arguments, "--lesions", "1, 4")
    assert scores(done) == pytest.approx([gap(study, n, (1, 4)) for n in range(3)], abs=1e-6)


def test_labels_that_the_dataset_declares(iqa, study):
    arguments = ("--dataset", f"patients:{study}", "-m", "toy-lesions", "--lesions", "dataset")
    done = iqa("evaluate", *arguments, "--csv", "-o", "run")
    assert scores(done) == pytest.approx([gap(study, n, (1, 4)) for n in range(3)], abs=1e-6)
    record = json.loads((study / "run" / "run.json").read_text())
    assert record["fixed"]["options"]["lesions"] == [1, 4]


def test_a_run_with_other_lesions_is_refused(iqa, study, manifest):
    command = ("evaluate", "--pairs", manifest, "-m", "toy-lesions", "-o", "run", "--lesions")
    first, again, other = (iqa(*command, labels) for labels in ("4", "4", "1"))
    assert first.stdout == again.stdout
    assert other.returncode == 2
    assert "lesions" in other.stderr


@pytest.mark.parametrize(("command", "metric"), [("evaluate", "mae"), ("maps", "error")])
def test_lesions_for_no_metric_are_warned_about(iqa, study, manifest, command, metric):
    done = iqa(command, "--pairs", manifest, "-m", metric, "--lesions", "4", "-o", "out")
    assert done.returncode == 0
    assert done.stderr.count("none of the metrics looks at lesions") == 1


def test_maps_of_a_metric_that_looks_at_lesions(iqa, study, manifest):
    done = iqa("maps", "--pairs", manifest, "-m", "toy-lesions", "--lesions", "4", "--bare", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader((study / "out" / "maps.csv").read_text().splitlines())
    means = [float(row["mean"]) for row in rows if row["region"] == "image"]
    assert means == pytest.approx([gap(study, 0, (4,)), gap(study, 1, (4,)), gap(study, 2, ())], abs=1e-5)


def test_maps_of_one_reference_under_two_masks(iqa, study):
    lines = [f"{n},synthesized/{n}.png,reference/0.png,labels/{n}.png" for n in range(3)]
    (study / "pairs.csv").write_text("\n".join(["pair_id,synthesized,reference,mask", *lines]))
    command = ("--pairs", "pairs.csv", "-m", "toy-lesions", "--lesions", "4")
    expected = scores(iqa("evaluate", *command, "--csv"))
    assert iqa("maps", *command, "--bare", "-o", "out").returncode == 0
    rows = csv.DictReader((study / "out" / "maps.csv").read_text().splitlines())
    assert [float(row["mean"]) for row in rows if row["region"] == "image"] == pytest.approx(
        expected, abs=1e-5
    )


def test_the_sample_has_label_maps(iqa, study):
    plain, given = (
        iqa("evaluate", "-m", "toy-lesions", "--csv", *more) for more in ((), ("--lesions", "1,2"))
    )
    assert len(scores(given)) == 48
    assert scores(given) != scores(plain)


@pytest.mark.parametrize("text", ["core", "1;4", "", "1,,4", "0", "1.5"])
def test_what_are_no_labels_is_wrong_usage(iqa, study, manifest, text):
    done = iqa("evaluate", "--pairs", manifest, "-m", "toy-lesions", "--lesions", text)
    assert done.returncode == 2
    assert "expected LABEL,LABEL" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "healthy:.", "--lesions", "dataset"), "declares no labels of lesions"),
        (("--pairs", "pairs.csv", "--lesions", "dataset"), "goes with --dataset"),
        (("synthesized", "reference", "--lesions", "1"), "give it with --mask"),
    ],
)
def test_lesions_without_what_they_need_are_wrong_usage(iqa, manifest, arguments, message):
    done = iqa("evaluate", "-m", "toy-lesions", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
