"""Label maps of the user's for metrics that look at labels: ``--labels``, ``--label-names``, ``--use-labels``."""

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
                images = [f"{self.path}/{kind}/{n}.png" for kind in ("synthesized", "reference")]
                yield Pair(str(n), *images, labels=f"{self.path}/labels/{n}.png")

    class Patients(Healthy):
        label_names = {"lesions": (1, 4), "core": (4,)}

    @hookimpl
    def iqa_register_datasets(register):
        for kind in (Healthy, Patients):
            name, factory = kind.__name__.lower(), f"{__name__}:{kind.__name__}"
            register(DatasetSpec(name=name, summary="toy", license="MIT", factory=factory))
"""


@pytest.fixture
def study(install, folders, tmp_path):
    """Toy metrics and datasets, and label maps of the 2-D images: 4 on the left, 1 on the right, 2 in between."""
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


NAMED = ("--label-names", "lesions=4", "--use-labels")


@pytest.mark.parametrize("options", [NAMED, ("--lesions", "4")])
def test_labels_of_a_manifest(iqa, study, manifest, options):
    done = iqa("evaluate", "--pairs", manifest, "-m", "toy-lesions", *options, "--csv")
    expected = [gap(study, 0, (4,)), gap(study, 1, (4,)), gap(study, 2, ())]
    assert scores(done) == pytest.approx(expected, abs=1e-6)
    assert "no label" not in done.stderr
    assert "warning" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--labels", "labels", "--label-names", "lesions=1,4", "--use-labels"),
        ("--mask", "labels", "--lesions", "1, 4"),
    ],
)
def test_labels_of_a_folder(iqa, study, options):
    done = iqa("evaluate", "synthesized", "reference", "-m", "toy-lesions", "--csv", *options)
    assert scores(done) == pytest.approx([gap(study, n, (1, 4)) for n in range(3)], abs=1e-6)


@pytest.mark.parametrize("options", [("--use-labels",), ("--lesions", "dataset")])
def test_labels_that_the_dataset_names(iqa, study, options):
    arguments = ("--dataset", f"patients:{study}", "-m", "toy-lesions", *options)
    done = iqa("evaluate", *arguments, "--csv", "-o", "run")
    assert scores(done) == pytest.approx([gap(study, n, (1, 4)) for n in range(3)], abs=1e-6)
    record = json.loads((study / "run" / "run.json").read_text())
    assert record["fixed"]["options"]["label_names"] == {"lesions": [1, 4], "core": [4]}


def test_regions_by_the_names_of_the_dataset(iqa, study):
    done = iqa("evaluate", "--dataset", f"patients:{study}", "-m", "mae", "--regions", "core", "--csv")
    rows = [row for row in csv.DictReader(done.stdout.splitlines()) if row["region"] == "core"]
    maps = [np.asarray(Image.open(study / "labels" / f"{n}.png")) == 4 for n in range(3)]
    assert [float(row["region_fraction"]) for row in rows] == pytest.approx([part.mean() for part in maps])


def test_a_run_with_other_labels_is_rejected(iqa, study, manifest):
    command = (
        "evaluate",
        "--pairs",
        manifest,
        "-m",
        "toy-lesions",
        "-o",
        "run",
        "--use-labels",
        "--label-names",
    )
    first, again, other = (iqa(*command, f"lesions={labels}") for labels in ("4", "4", "1"))
    assert first.stdout == again.stdout
    assert other.returncode == 2
    assert "lesions" in other.stderr


@pytest.mark.parametrize(("command", "metric"), [("evaluate", "mae"), ("maps", "error")])
def test_labels_for_no_metric_are_warned_about(iqa, study, manifest, command, metric):
    done = iqa(command, "--pairs", manifest, "-m", metric, *NAMED, "-o", "out")
    assert done.returncode == 0
    assert done.stderr.count("none of the metrics looks at labels") == 1


def test_maps_of_a_metric_that_looks_at_labels(iqa, study, manifest):
    done = iqa("maps", "--pairs", manifest, "-m", "toy-lesions", *NAMED, "--bare", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader((study / "out" / "maps.csv").read_text().splitlines())
    means = [float(row["mean"]) for row in rows if row["region"] == "image"]
    assert means == pytest.approx([gap(study, 0, (4,)), gap(study, 1, (4,)), gap(study, 2, ())], abs=1e-5)


def test_maps_of_one_reference_under_two_label_maps(iqa, study):
    lines = [f"{n},synthesized/{n}.png,reference/0.png,labels/{n}.png" for n in range(3)]
    (study / "pairs.csv").write_text("\n".join(["pair_id,synthesized,reference,labels", *lines]))
    command = ("--pairs", "pairs.csv", "-m", "toy-lesions", *NAMED)
    expected = scores(iqa("evaluate", *command, "--csv"))
    assert iqa("maps", *command, "--bare", "-o", "out").returncode == 0
    rows = csv.DictReader((study / "out" / "maps.csv").read_text().splitlines())
    means = [float(row["mean"]) for row in rows if row["region"] == "image"]
    assert means == pytest.approx(expected, abs=1e-5)


def test_the_sample_has_label_maps(iqa, study):
    named = ("--label-names", "lesions=1,2", "--use-labels")
    plain, given = (iqa("evaluate", "-m", "toy-lesions", "--csv", *more) for more in ((), named))
    assert len(scores(given)) == 48
    assert scores(given) != scores(plain)


@pytest.mark.parametrize("text", ["core", "1;4", "", "1,,4", "1.5"])
def test_what_are_no_labels_is_wrong_usage(iqa, study, manifest, text):
    done = iqa("evaluate", "--pairs", manifest, "-m", "toy-lesions", "--label-names", f"lesions={text}")
    assert done.returncode == 2
    assert "is not LABEL,LABEL" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_name_that_a_metric_looks_at_and_nobody_gives_is_warned_about(iqa, study):
    done = iqa("evaluate", "-m", "toy-lesions", "--dataset", f"healthy:{study}", "--use-labels")
    assert done.returncode == 0
    assert "no label is called lesions" in done.stderr


def test_labels_without_label_maps_are_wrong_usage(iqa, study):
    done = iqa("evaluate", "-m", "toy-lesions", "synthesized", "reference", "--use-labels")
    assert done.returncode == 2
    assert "give it with --labels" in done.stderr
