"""What the loader and the caches hold is bounded, and an error is tried again when a run is resumed."""

import threading
import time
import weakref

import numpy as np
import pytest
import torch

import toy_metrics
from iqa_registry.evaluation import loader as loading
from iqa_registry.evaluation.evaluate import evaluate
from iqa_registry.evaluation.features import ReferenceFeatures
from iqa_registry.evaluation.items import Item, Loaded
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import make_batches, plan_items
from iqa_registry.evaluation.scoring import Scorer
from iqa_registry.evaluation.store import RunFolder
from iqa_registry.images.pair import Pair
from iqa_registry.images.pairs import make_pairs
from iqa_registry.inputs import open_inputs


@pytest.mark.parametrize("workers", [1, 4])
def test_two_batches_are_read_ahead_and_no_more(grey, monkeypatch, workers):
    image = grey(0)
    options = Options(workers=workers)
    items = plan_items(make_pairs([(image, image)] * 20), options, {2})
    loaded, lock = [], threading.Lock()
    original = Loader.load_safely

    def counted(self, item):
        with lock:
            loaded.append(item)
        return original(self, item)

    monkeypatch.setattr(Loader, "load_safely", counted)
    batches = Loader(options).batches(make_batches(items, 1))
    for consumed in (1, 2, 3):
        next(batches)
        end = time.monotonic() + 10
        while len(loaded) < consumed + 2 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(loaded) == consumed + 2
    batches.close()


@pytest.fixture
def reads(monkeypatch):
    """The images that are read, in order."""
    found = []
    original = loading.read_scan

    def counted(source):
        found.append(str(source).rpartition("/")[2])
        return original(source)

    monkeypatch.setattr(loading, "read_scan", counted)
    return found


def load_in_order(pairs, slices=None):
    options = Options(intensity="range=0,1", workers=0)
    items = plan_items(pairs, options, {2})
    loader = Loader(options)
    for item in sorted(items, key=lambda item: (item.slice or 0, item.order)):
        loader.load(item)


@pytest.fixture
def volume_pairs(tmp_path):
    import nibabel

    for name in "abcr":
        values = np.random.default_rng(0).random((8, 8, 2)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"{name}.nii")
    return [Pair(name, str(tmp_path / f"{name}.nii"), str(tmp_path / "r.nii")) for name in "abc"]


def test_volumes_that_fit_are_read_once(volume_pairs, reads):
    load_in_order(volume_pairs)
    assert sorted(reads) == ["a.nii", "b.nii", "c.nii", "r.nii"]


def test_volumes_beyond_the_budget_are_let_go(volume_pairs, reads, monkeypatch):
    monkeypatch.setattr(loading, "VOLUME_BUDGET", 1200)  # bytes; a synthesized volume takes 512 of them
    load_in_order(volume_pairs)
    assert [name for name in reads if name != "r.nii"] == ["a.nii", "b.nii", "c.nii"] * 2


def test_references_beyond_the_budget_are_let_go(tmp_path, volume_pairs, reads, monkeypatch):
    monkeypatch.setattr(loading, "VOLUME_BUDGET", 512)  # bytes; half of them are for references of 512
    first, second, third = volume_pairs
    others = [
        Pair("x", first.synthesized, second.synthesized),
        Pair("y", first.synthesized, third.synthesized),
    ]
    load_in_order([first, *others, Pair("z", second.synthesized, first.reference)])
    assert reads.count("r.nii") >= 2


def test_few_references_of_2d_images_are_held(write_png, grey, reads, monkeypatch):
    paths = [str(write_png(f"{number}.png", grey(number))) for number in range(4)]
    order = [0, 1, 2, 3, 0]
    pairs = [Pair(str(number), paths[3], paths[place]) for number, place in enumerate(order)]
    monkeypatch.setattr(loading, "IMAGES_HELD", 2)
    options = Options(workers=0)
    loader = Loader(options)
    for item in sorted(plan_items(pairs, options, {2}), key=lambda item: item.order):
        loader.load(item)
    assert reads.count("0.png") == 2


def test_features_are_let_go_before_the_next_are_made():
    cache = ReferenceFeatures()
    watch = weakref.ref(cache.get(("a",), "encoder", lambda: torch.zeros(1)))

    def encode():
        assert watch() is None
        return torch.ones(2)

    cache.get(("b", "c"), "encoder", encode)


def test_a_mask_that_a_pair_does_not_have_leaves_nothing(registry, monkeypatch):
    seen = []
    metric = registry.metric("mae")
    original = type(metric).compare_in_detail

    def watched(self, synthesized, reference, mask=None):
        seen.append(mask)
        return original(self, synthesized, reference, mask)

    monkeypatch.setattr(type(metric), "compare_in_detail", watched)
    core = torch.zeros(1, 4, 4, dtype=torch.bool)
    core[0, 0] = True
    batch = [
        Loaded(
            Item(number, Pair(str(number), "s", "r"), (number,)),
            torch.ones(1, 4, 4),
            torch.zeros(1, 4, 4),
            {"image": None} | ({"core": core} if number == 1 else {}),
            {},
        )
        for number in range(2)
    ]
    Scorer([metric], Options(check_shift=False), "cpu").score(batch, [metric])
    (mask,) = [mask for mask in seen if mask is not None]
    assert [int(one.sum()) for one in mask] == [0, 4]


@pytest.mark.parametrize(
    ("name", "kind", "method"),
    [("toy-count", toy_metrics.CountingMetric, "compare"), ("toy-gap", toy_metrics.MeanGap, "compare")],
)
def test_an_error_of_a_metric_is_tried_again(
    registry, grey, write_png, tmp_path, monkeypatch, name, kind, method
):
    pairs = [
        (str(write_png(f"s{number}.png", grey(number))), str(write_png(f"r{number}.png", grey(number + 9))))
        for number in range(3)
    ]

    def run():
        return evaluate(
            open_inputs(pairs=pairs), [name, "mae"], Options(), registry, RunFolder(tmp_path / "run")
        ).table

    with monkeypatch.context() as patch:

        def fail(self, *arguments):
            raise RuntimeError("for once")

        patch.setattr(kind, method, fail)
        first = run()
    assert set(first.filter(first["metric"] == name)["status"]) == {"error"}
    again = run()
    assert set(again["status"]) == {"ok"}
    assert again.height == first.height
