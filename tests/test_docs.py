"""The generated documents: complete, independent of the machine, and stale ones are found out."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from iqa_registry.cli.app import OWN
from iqa_registry.registry import build_registry
from iqa_registry.specs import Origin

SCRIPT = Path(__file__).parents[1] / "tools" / "make_docs.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_docs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_docs"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_docs"]


@pytest.fixture(scope="module")
def texts(script):
    return {path.name: text for path, text in script.pages().items()}


def test_every_own_metric_has_its_rows(script, texts):
    specs = script.own_metrics(script.build_registry(config=Path("/dev/null")))
    assert {"ssim", "psnr", "lpips"} <= {spec.name for spec in specs}
    for spec in specs:
        assert texts["metrics.md"].count(f"| `{spec.name}` |") >= 2, spec.name


def test_every_command_has_a_section(texts):
    for name in [*OWN, "weights fetch", "plugin check"]:
        assert f"## `iqa {name}`" in texts["commands.md"]
    assert "| `-o, --output FOLDER` |" in texts["commands.md"]
    assert "`--axis axial\\|coronal\\|sagittal`" in texts["commands.md"]


def test_optional_metrics_of_extras_and_of_others_are_left_out(script, texts):
    assert "`pyiqa/" not in texts["metrics.md"]
    ours = replace(build_registry().metrics["ssim"], name="ours", origin=Origin("iqa-registry", "1", "a"))
    specs = {
        "ours": ours,
        "extra": replace(ours, name="extra", extra="pyiqa"),
        "theirs": replace(ours, name="theirs", origin=Origin("other", "1", "b")),
    }
    registry = type("Registry", (), {"metrics": specs})
    assert [spec.name for spec in script.own_metrics(registry)] == ["ours"]


def test_terminal_and_settings_leave_no_trace(script, texts, monkeypatch, tmp_path):
    (tmp_path / "iqa.toml").write_text('[metrics.mine]\nbase = "ssim"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    assert {path.name: text for path, text in script.pages().items()} == texts


def test_another_plugin_leaves_no_trace(script, texts, install):
    install("""
        @hookimpl
        def iqa_register_commands(register):
            register("elsewhere", "Somebody else's command.", "nowhere:app")
    """)
    assert {path.name: text for path, text in script.pages().items()} == texts


def test_stale_file_is_named_with_the_remedy(script, texts, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(script, "DOCS", tmp_path / "docs")
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    (tmp_path / "docs" / "metrics.md").write_text("old")
    capsys.readouterr()
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/metrics.md is stale; fix it with: python tools/make_docs.py\n"
    assert (tmp_path / "docs" / "metrics.md").read_text() == "old"
    script.main(["--write"])
    assert script.main(["--check"]) == 0


def test_missing_file_is_stale(script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(script, "DOCS", tmp_path / "docs")
    assert script.main(["--check"]) == 1
    assert "docs/commands.md is stale" in capsys.readouterr().err
