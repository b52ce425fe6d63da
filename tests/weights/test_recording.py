"""The record of weight files: one entry per file that was opened while a metric was built."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from iqa_registry.errors import WeightsError
from iqa_registry.hookspecs import hookimpl
from iqa_registry.metrics import FullReferenceMetric
from iqa_registry.plugins import Candidate
from iqa_registry.registry import build_registry
from iqa_registry.segmenter import Segmenter
from iqa_registry.specs import Origin, SegmenterSpec, WeightSpec
from iqa_registry.weights import PackageFile, fingerprint, open_file, recording
from iqa_registry.weights.hashing import file_sha256
from toy_metrics import Point, spec
from weight_archives import TENSORS

FILES: dict = {}
"""Paths by name; the fixture fills it."""


class Metric(FullReferenceMetric):
    def compare(self, synthesized, reference, mask=None):
        return (synthesized - reference).mean(dim=(1, 2, 3))


class Finder(Segmenter):
    def __init__(self):
        open_file(FILES["finder"], "finder.pt")

    def __call__(self, image, affine=None):
        return image > 0


def plain(*, registry) -> Metric:
    registry.weights.open("shared")
    return Metric()


def by_path(*, weights: str, registry) -> Metric:
    registry.weights.open(weights)
    return Metric()


def nested(*, registry) -> Metric:
    registry.segmenter("finder")
    registry.metric("plain")
    registry.weights.open("shared")
    return Metric()


class Plugin:
    @hookimpl
    def iqa_register_metrics(self, register):
        for name in ("plain", "nested", "by_path"):
            register(replace(spec(name.replace("_", "-"), name), factory=f"{__name__}:{name}"))

    @hookimpl
    def iqa_register_segmenters(self, register):
        register(SegmenterSpec(name="finder", summary="f", factory=f"{__name__}:Finder"))

    @hookimpl
    def iqa_register_weights(self, register):
        source = PackageFile(package="carrier", path="net.pth")
        register(
            WeightSpec(
                name="shared",
                summary="s",
                sha256=fingerprint(TENSORS),
                size=1,
                license="MIT",
                sources=(source,),
            )
        )


@pytest.fixture
def registry(tmp_path, monkeypatch):
    (tmp_path / "carrier").mkdir()
    torch.save(TENSORS, tmp_path / "carrier" / "net.pth")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("finder", "mine"):
        FILES[name] = tmp_path / f"{name}.pt"
        torch.save({name: torch.ones(2)}, FILES[name])
    return build_registry([Candidate(Point("records", Plugin()), Origin("records", "1", "records"))])


SHARED = {"shared": fingerprint(TENSORS)}


def test_two_metrics_that_share_a_file_both_have_it(registry):
    assert [registry.metric("plain").weights_used for _ in range(2)] == [SHARED, SHARED]


def test_a_nested_build_counts_for_the_outer_metric_only_once(registry):
    outer = registry.metric("nested").weights_used
    assert outer == SHARED | {"finder.pt": file_sha256(FILES["finder"])}
    assert registry.metric("plain").weights_used == SHARED


def test_a_file_of_the_users_is_recorded_as_it_was_named(registry):
    path = FILES["mine"]
    assert registry.metric(f"by-path:weights={path}").weights_used == {str(path): file_sha256(path)}


def test_a_build_that_fails_leaves_no_trace(registry):
    with pytest.raises(WeightsError, match="no weights and no file 'absent'"):
        registry.metric("by-path:weights=absent")
    assert registry.metric("plain").weights_used == SHARED


def test_threads_do_not_mix_their_records(registry):
    barrier, found = threading.Barrier(2), {}

    def build(name):
        with recording() as used:
            barrier.wait()
            open_file(FILES[name], name)
            barrier.wait()
        found[name] = used

    threads = [threading.Thread(target=build, args=(name,)) for name in ("finder", "mine")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: {name: file_sha256(FILES[name])} for name in ("finder", "mine")}


def test_two_files_of_one_name_are_both_recorded(registry):
    with recording() as used:
        for name in ("finder", "mine", "finder"):
            open_file(FILES[name], "net.pt")
    first, second = (file_sha256(FILES[name]) for name in ("finder", "mine"))
    assert used == {"net.pt": first, str(FILES["mine"]): second}


def test_a_file_is_hashed_once(registry, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "iqa_registry.weights.files.sha256_of", lambda file: hashed.append(file.name) or "0" * 64
    )
    monkeypatch.setattr("iqa_registry.weights.store.file_sha256", None)
    assert registry.metric(f"by-path:weights={FILES['mine']}").weights_used == {str(FILES["mine"]): "0" * 64}
    assert hashed == [str(FILES["mine"])]
