"""Weights that an installed package carries: used where they are, checked, never fetched."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from iqa_registry.errors import WeightsError
from iqa_registry.weights import PackageFile, fingerprint
from iqa_registry.weights.hashing import file_sha256
from weight_archives import TENSORS

CARRIED = PackageFile(package="carrier", path="net.pth", convert="weight_archives:prefixed")


@pytest.fixture
def carried(tmp_path, monkeypatch):
    """The file ``net.pth`` of an installed package."""
    (tmp_path / "carrier").mkdir()
    torch.save({**TENSORS, "classifier": torch.zeros(3)}, tmp_path / "carrier" / "net.pth")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "carrier" / "net.pth"


def test_it_is_not_missing_and_need_not_be_fetched(carried, make_store):
    store = make_store(CARRIED, offline=True)
    report = store.report("demo")
    assert (report.status, report.path, report.sha256) == ("in package", carried, fingerprint(TENSORS))
    assert store.fetch("demo") == store.fetch("demo", force=True) == carried
    assert store.open("demo").path == carried
    assert set(store.open("demo").tensors) == set(TENSORS)
    assert not store.directory.exists()


def test_its_hash_is_checked(carried, make_store):
    torch.save({"net.weight": torch.zeros(2, 3), "net.bias": torch.ones(2)}, carried)
    store = make_store(CARRIED, offline=True)
    report = store.report("demo")
    assert (report.status, report.path) == ("damaged", carried)
    with pytest.raises(WeightsError, match=r"package carrier \(net\.pth has sha256 .*, expected"):
        store.open("demo")
    carried.write_bytes(b"hello")
    assert store.status("demo") == "damaged"


def test_a_file_known_by_its_own_hash(carried, make_store):
    digest = file_sha256(carried)
    store = make_store(CARRIED, sha256=digest, hashed="file", offline=True)
    assert (store.status("demo"), store.open("demo").sha256) == ("in package", digest)
    carried.write_bytes(carried.read_bytes()[:-1])
    assert store.status("demo") == "damaged"


def test_the_folder_serves_where_the_package_holds_other_numbers(carried, make_store):
    store = make_store(CARRIED, offline=True)
    torch.save({"net.weight": torch.zeros(1)}, carried)
    store.directory.mkdir()
    save_file(TENSORS, store.path("demo"))
    assert store.status("demo") == "present"
    assert store.open("demo").path == store.path("demo")


def test_a_path_that_the_user_gives_has_a_status_too(carried, make_store):
    report = make_store(CARRIED).report(str(carried))
    assert (report.status, report.path, report.sha256) == ("present", carried, file_sha256(carried))


def test_without_the_package_it_is_missing(make_store):
    assert make_store(CARRIED, offline=True).status("demo") == "missing"


def test_the_command_line_says_so(run_iqa, tmp_path):
    environment = {"IQA_WEIGHTS_DIR": str(tmp_path / "empty"), "IQA_OFFLINE": "1"}
    rows = json.loads(run_iqa("weights", "list", "--json", **environment).stdout)
    found = {row["name"]: row["status"] for row in rows}
    assert found["kcross-t1-t2"] == found["lpips-alex"] == found["nnunet-phantom"] == "in package"
    assert found["imagenet-vgg"] == "missing"
    fetched = run_iqa("weights", "fetch", "lpips-alex", "--force", **environment)
    assert "alex.pth (in package, need not be fetched)" in fetched.stdout
    verified = run_iqa("weights", "verify", "kcross-t1-t2", "lpips-vgg", **environment)
    assert verified.stdout.count("in package") == 2
    told = json.loads(run_iqa("info", "lpips", "--json", **environment).stdout)
    assert {row["weights"]: row["status"] for row in told["weights"]} == {
        "imagenet-alex": "missing",
        "lpips-alex": "in package",
    }
    assert not (tmp_path / "empty").exists()
