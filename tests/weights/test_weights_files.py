"""Files in the store's folder and files that a user brings: checked, rejected, imported."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iqa_registry.errors import WeightsError
from iqa_registry.weights import PackageFile, TorchHubFile, WeightStore, fingerprint
from iqa_registry.weights.files import open_file, read_file
from iqa_registry.weights.formats import read_pickled_arrays
from iqa_registry.weights.hashing import file_sha256, fingerprint_of_file
from weight_archives import ARRAYS, TENSORS, tar_with

NOWHERE = TorchHubFile(name="nowhere.pth", convert="weight_archives:prefixed")


def write_to(store: WeightStore, tensors) -> None:
    store.directory.mkdir()
    save_file(tensors, store.path("demo"))


def pickled(path):
    with path.open("rb") as file:
        return read_pickled_arrays(file, path)


def test_fingerprint_is_that_of_the_file_in_any_order_and_layout(tmp_path):
    tensors = {
        "b": torch.arange(6.0).reshape(2, 3),
        "a": torch.tensor([True, False]),
        "c": torch.tensor(2.5, dtype=torch.bfloat16),
        "d": torch.empty(0, 3, dtype=torch.int64),
    }
    save_file(tensors, tmp_path / "x.safetensors", metadata={"made": "today"})
    turned = {"b": tensors["b"].t().contiguous().t(), **{name: tensors[name] for name in "dca"}}
    assert fingerprint(turned) == fingerprint(tensors) == fingerprint_of_file(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.tensor([1.0, 2.5])},
        {"b": torch.tensor([1.0, 2.0])},
        {"a": torch.tensor([[1.0, 2.0]])},
        {"a": torch.tensor([1.0, 2.0], dtype=torch.float64)},
    ],
)
def test_fingerprint_sees_value_name_shape_and_type(other):
    assert fingerprint(other) != fingerprint({"a": torch.tensor([1.0, 2.0])})


def test_other_numbers_in_the_folder_are_refused_and_kept(make_store):
    store = make_store(NOWHERE)
    write_to(store, {"net.weight": torch.zeros(2, 3), "net.bias": torch.ones(2)})
    before = store.path("demo").read_bytes()
    with pytest.raises(WeightsError) as caught:
        store.open("demo")
    message = str(caught.value)
    assert str(store.path("demo")) in message
    assert f"expected sha256 {fingerprint(TENSORS)}" in message
    assert f"got {fingerprint_of_file(store.path('demo'))}" in message
    assert "iqa weights fetch demo --force" in message
    with pytest.raises(WeightsError, match=r"is not the declared 'demo'"):
        store.fetch("demo")
    assert store.path("demo").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100, b"\x02" + bytes(7) + b"[]", None])
def test_a_damaged_file_is_reported_and_refused(make_store, content):
    store = make_store(NOWHERE)
    write_to(store, TENSORS)
    whole = store.path("demo").read_bytes()
    store.path("demo").write_bytes(whole[:-4] if content is None else content)
    assert [report.status for report in store.verify()] == ["damaged"]
    with pytest.raises(WeightsError, match=r"is not the declared 'demo'.*\n.*--force"):
        store.open("demo")


def test_force_replaces_a_damaged_file(index, source, make_store):
    store = make_store(source)
    write_to(store, {"other": torch.zeros(1)})
    store.fetch("demo", force=True)
    assert store.status("demo") == "present"


def test_a_torch_file_that_would_run_code_is_refused(tmp_path, make_store):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"net.weight": Attack()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"bad\.pth: rejected, .* could run code"):
        make_store(NOWHERE).import_file(tmp_path / "bad.pth")
    digest = file_sha256(tmp_path / "bad.pth")
    store = make_store(NOWHERE, sha256=digest, hashed="file")
    store.import_file(tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"rejected, .* could run code"):
        store.open("demo")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "payload", [torch.ones(2), np.array([print], dtype=object), {"a": slice(1)}, [pickle.Pickler]]
)
def test_pickled_anything_but_arrays_is_refused(tmp_path, payload):
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(payload))
    with pytest.raises(WeightsError, match=r"rejected, a pickle of more than numpy arrays"):
        pickled(tmp_path / "x.ckpt")


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickled_arrays_are_read(tmp_path, protocol):
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(ARRAYS, protocol=max(protocol, 3)))
    assert pickled(tmp_path / "x.ckpt")["kernel"].sum() == 15
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(ARRAYS)[:-20])
    with pytest.raises(WeightsError, match=r"a damaged pickle|rejected"):
        pickled(tmp_path / "x.ckpt")


def test_import_knows_the_numbers_in_any_container(tmp_path, make_store):
    torch.save({**TENSORS, "classifier": torch.zeros(3)}, tmp_path / "whole.pth")
    save_file(TENSORS, tmp_path / "exact.safetensors")
    for file in ("whole.pth", "exact.safetensors"):
        store = make_store(NOWHERE)
        assert store.import_file(tmp_path / file) == ("demo",)
        assert store.status("demo") == "present"
        store.path("demo").unlink()


def test_import_takes_a_whole_archive(tmp_path, archive, source, make_store):
    (tmp_path / "renamed.tar.gz").write_bytes(archive)
    store = make_store(source, offline=True)
    assert store.import_file(tmp_path / "renamed.tar.gz", "demo") == ("demo",)
    assert fingerprint(store.open("demo").tensors) == fingerprint(TENSORS)


def test_import_of_something_else_says_what_was_expected(tmp_path, make_store):
    torch.save({"net.weight": torch.zeros(1)}, tmp_path / "other.pth")
    store = make_store(NOWHERE)
    digest = file_sha256(tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=f"not the declared 'demo': expected sha256 .* own is {digest}"):
        store.import_file(tmp_path / "other.pth", "demo")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match=r"not a weight file|rejected"):
        store.import_file(tmp_path / "text.pth")
    with pytest.raises(WeightsError, match=r"No such file"):
        store.import_file(tmp_path / "absent.pth")
    assert store.status("demo") == "missing"


def test_import_of_complex_numbers_is_an_error_and_no_defect(tmp_path, make_store):
    torch.save({"net.weight": torch.zeros(1, dtype=torch.complex64)}, tmp_path / "complex.pth")
    with pytest.raises(WeightsError, match=r"is none of the declared weights|is not the declared"):
        make_store(NOWHERE).import_file(tmp_path / "complex.pth")


def test_import_of_an_archive_with_a_bad_member(tmp_path, make_store, source):
    content = tar_with({"demo-1.0/other": b"1"})
    (tmp_path / "a.tar.gz").write_bytes(content)
    altered = type(source)(
        distribution="demo", archive="a", member="demo/net.ckpt", sha256=file_sha256(tmp_path / "a.tar.gz")
    )
    with pytest.raises(WeightsError, match=r"expected one member demo/net.ckpt, found 0"):
        make_store(altered).import_file(tmp_path / "a.tar.gz")


def test_a_converter_that_does_not_fit_is_reported(tmp_path, make_store, monkeypatch):
    (tmp_path / "carrier").mkdir()
    torch.save([torch.ones(1)], tmp_path / "carrier" / "net.pth")
    monkeypatch.syspath_prepend(tmp_path)
    for convert in (None, "weight_archives:prefixed"):
        source = PackageFile(package="carrier", path="net.pth", convert=convert)
        with pytest.raises(WeightsError, match=r"expected named tensors, got list|does not hold what"):
            make_store(source).open("demo")


def test_listing_needs_no_torch(tmp_path, make_store):
    write_to(make_store(NOWHERE), TENSORS)
    code = (
        "import sys; from pathlib import Path; from iqa_registry.specs import WeightSpec;"
        "from iqa_registry.weights import WeightStore, TorchHubFile;"
        f"spec = WeightSpec(name='demo', summary='', sha256={fingerprint(TENSORS)!r}, size=1, license='MIT',"
        "sources=(TorchHubFile(name='x'),));"
        f"store = WeightStore({{'demo': spec}}, Path({str(tmp_path / 'weights')!r}));"
        "print(store.status('demo'), {'torch', 'requests', 'numpy'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["present", "set()"]


def test_a_file_with_another_hash_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save_file(TENSORS, path)
    right = file_sha256(path)
    assert read_file(path, "net", expected=right).sha256 == right
    assert read_file(path, "net", expected=right[:8]).sha256 == right
    monkeypatch.setattr("iqa_registry.weights.files.read", lambda *given: pytest.fail("was read"))
    with pytest.raises(WeightsError, match="0000"):
        read_file(path, "net", expected="0" * 64)


class Settings:
    """What a trainer keeps next to its weights."""

    def __init__(self, depth):
        self.depth = depth


@pytest.mark.parametrize(
    ("trust", "says"), [(None, "Save its state dict"), (False, "Add trust=true only if")]
)
def test_objects_of_other_classes_need_trust(tmp_path, trust, says):
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.ones(2), "settings": Settings(3)}, path)
    with pytest.raises(WeightsError, match=says):
        open_file(path, trust=trust)
    content = open_file(path, trust=True).content
    assert content["settings"].depth == 3
    assert content["weight"].tolist() == [1, 1]


def test_trust_does_not_mend_a_damaged_file(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(b"\x80\x02no weights")
    with pytest.raises(WeightsError, match=r"net\.pth: damaged, or not a weight file"):
        open_file(path, trust=True)
