"""What a run remembers: the files as they are, the settings that matter."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.record import inputs_digest, make_record
from iqa_registry.images.pair import Pair


def batch(*sources):
    return [Item(0, Pair("p", *sources), ("r",))]


def test_a_changed_file_is_another_input(write_png, grey):
    paths = [str(write_png(f"{name}.png", grey(number))) for number, name in enumerate("abc")]
    first = inputs_digest(batch(*paths))
    assert inputs_digest(batch(*paths)) == first
    for path in paths:
        state = Path(path).stat()
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
        changed = inputs_digest(batch(*paths))
        assert changed != first
        first = changed


def test_label_maps_count_as_inputs(write_png, grey):
    pair = Pair("p", grey(0), grey(1), labels=str(write_png("labels.png", grey(2))))
    first = inputs_digest([Item(0, pair, ("r",))])
    write_png("labels.png", grey(3, (16, 16)))
    assert inputs_digest([Item(0, pair, ("r",))]) != first


def test_arrays_count_by_their_values(grey):
    assert inputs_digest(batch(grey(0), grey(1))) == inputs_digest(batch(grey(0).copy(), grey(1)))
    assert inputs_digest(batch(grey(0), grey(1))) != inputs_digest(batch(grey(0), grey(2)))


def test_the_record_names_metrics_weights_and_versions(registry):
    metric = registry.metric("toy-lesions")
    pairs = [Pair("p", np.zeros((8, 8)), np.zeros((8, 8)))]
    record = make_record(pairs, [metric], Options(), {"device": "cpu"}, {"lpips": "no weights"})
    fixed = record["fixed"]
    assert fixed["metrics"]["toy-lesions"]["weights"] == metric.weights_used
    assert fixed["metrics"]["toy-lesions"]["configuration"] == metric.configuration
    assert fixed["pairs"]["count"] == 1
    assert set(fixed["versions"]) == {"iqa-registry", "torch", "torchvision", "numpy", "plugins"}
    assert (fixed["device"], record["not_started"]) == ("cpu", {"lpips": "no weights"})


def rewritten(path, content):
    """Other bytes of the same length, with the old time."""
    state = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_file_with_its_old_size_and_time_is_another_input(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    first = inputs_digest(batch(str(path), str(path)))
    rewritten(path, b"other")
    assert inputs_digest(batch(str(path), str(path))) != first


@pytest.mark.parametrize(
    ("header", "text", "data"),
    [
        ("a.mhd", "NDims = 3\nElementDataFile = a.raw\n", "a.raw"),
        ("a.nhdr", "NRRD0004\ndata file: b.raw.gz\n", "b.raw.gz"),
        ("a.mhd", "NDims = 3\nElementDataFile = LIST\ns1.raw\n", "s1.raw"),
        ("a.img", "voxels", "a.hdr"),
        ("series/1.dcm", "slice", "series/2.dcm"),
    ],
)
def test_every_file_of_an_image_is_an_input(tmp_path, header, text, data):
    (tmp_path / header).parent.mkdir(exist_ok=True)
    (tmp_path / header).write_text(text)
    (tmp_path / data).write_bytes(b"first")
    source = str((tmp_path / header).parent if header.startswith("series") else tmp_path / header)
    first = inputs_digest(batch(source, source))
    assert inputs_digest(batch(source, source)) == first
    (tmp_path / data).write_bytes(b"longer")
    assert inputs_digest(batch(source, source)) != first


def test_the_record_tells_when_and_with_which_readers():
    record = make_record([Pair("p", np.zeros((8, 8)), np.zeros((8, 8)))], [], Options(), {}, {})
    assert {"nibabel", "pydicom", "SimpleITK", "pillow", "tifffile"} <= record["readers"].keys()
    assert record["date"].endswith("+00:00")
    assert record["command"]


@pytest.mark.parametrize("field", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"])
def test_each_sign_of_a_change_alone_is_seen(tmp_path, monkeypatch, field):
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    seen = dict.fromkeys(("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"), 5) | {"st_mode": 0o100644}
    monkeypatch.setattr(Path, "stat", lambda self, **_: SimpleNamespace(**seen))
    first = inputs_digest(batch(str(path), str(path)))
    assert inputs_digest(batch(str(path), str(path))) == first
    seen[field] = 6
    assert inputs_digest(batch(str(path), str(path))) != first
