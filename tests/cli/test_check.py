"""``iqa plugin check``: what a target stands for, and what is printed about it."""

import json
import re
import sys

import pytest
from click.testing import CliRunner

from iqa_registry.cli.check import find_metrics, plugin
from iqa_registry.errors import PluginError, UnknownNameError, UsageError

TWO = """
@hookimpl
def iqa_register_metrics(register):
    register(MetricSpec(name="first", **FIELDS))
    register(MetricSpec(name="second", **FIELDS | {"higher_is_better": True}))
"""


@pytest.fixture(autouse=True)
def import_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])


def run(*arguments):
    return CliRunner().invoke(plugin, ["check", *arguments], catch_exceptions=False)


def test_a_metric_that_conforms_ends_with_exit_code_0():
    result = run("mae")
    assert result.exit_code == 0
    assert re.fullmatch(r"mae: \d+ passed, 0 failed, \d skipped", result.output.splitlines()[-2])


def test_a_metric_that_does_not_ends_with_exit_code_1(install):
    install(TWO)
    result = run("third-party")
    assert result.exit_code == 1
    lines = [line.split() for line in result.output.splitlines()]
    assert [line[:2] for line in lines if "fail" in line] == [["direction", "fail"], ["mask", "place"]]
    assert re.search(r"^second: \d+ passed, 2 failed, \d skipped$", result.output, re.MULTILINE)


def test_json_gives_a_row_per_metric_and_check(install):
    install(TWO)
    rows = json.loads(run("demo", "--json").stdout)
    assert {row["metric"] for row in rows} == {"first", "second"}
    assert [(row["metric"], row["check"]) for row in rows if row["result"] == "fail"] == [
        ("second", "direction"),
        ("second", "mask place"),
    ]


def test_a_metric_may_have_parameters():
    assert find_metrics("ssim:window=7")[1] == ["ssim:window=7"]


def test_an_installed_plugin_goes_by_its_name_its_distribution_or_its_module(install):
    module = install(TWO)
    for target in ("demo", "third-party", module):
        registry, names = find_metrics(target)
        assert names == ["first", "second"]
        assert str(registry.metrics["first"].origin) == "third-party 1.2 (demo)"


def test_a_module_that_is_not_installed_is_found_by_name_and_by_file(tmp_path, install, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    header = "from iqa_registry import hookimpl\nfrom iqa_registry.specs import Configuration\n"
    package = tmp_path / "uninstalled"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "plugin.py").write_text(
        header
        + '@hookimpl\ndef iqa_register_metrics(register):\n    register(Configuration("small", base="ssim"))\n'
    )
    for target in ("uninstalled.plugin", str(package / "plugin.py")):
        registry, names = find_metrics(target)
        assert names == ["small"]
        assert str(registry.metrics["small"].origin) == "uninstalled (not installed) (uninstalled.plugin)"


@pytest.mark.parametrize("target", ["sism", "no.such.module", "nothing-here"])
def test_what_is_nothing_is_said_to_be_nothing(target):
    with pytest.raises(UnknownNameError, match=f"'{target}' is not a metric, plugin, module or file"):
        find_metrics(target)


def test_a_missing_file_is_named():
    with pytest.raises(UsageError, match=r"gone.py: there is no such file"):
        find_metrics("gone.py")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "raise RuntimeError('no luck')",
            r"plugin not loaded: third-party 1.2 \(demo\): RuntimeError: no luck",
        ),
        ("", r"plugin third-party 1.2 \(demo\) declares no metric"),
        (
            '@hookimpl\ndef iqa_register_metrics(register):\n    register(Configuration("m", base="nowhere"))\n',
            "metric 'm' is based on 'nowhere'",
        ),
    ],
)
def test_a_plugin_that_cannot_be_checked_is_named_with_the_reason(install, source, reason):
    install(source)
    with pytest.raises(PluginError, match=reason):
        find_metrics("demo")
