"""Loading plugins: one that fails leaves the others working and is listed with the reason."""

import re

import pytest

from iqa_registry.errors import PluginError
from iqa_registry.plugins import find_candidates, load_plugins
from iqa_registry.registry import build_registry
from iqa_registry.specs import Origin

GOOD = """
@hookimpl
def iqa_register_metrics(register):
    register(MetricSpec(name="good", **FIELDS))
"""

FAILING = {
    "raises on import": ("raise RuntimeError('no luck')", r"RuntimeError: no luck"),
    "leaves on import": ("import sys; sys.exit('bye')", r"SystemExit: bye"),
    "lacks a package": ("import no_such_package", r"ModuleNotFoundError: No module named 'no_such_package'"),
    "claims ssim": (
        """
        @hookimpl
        def iqa_register_metrics(register):
            register(MetricSpec(name="other", **FIELDS))
            register(MetricSpec(name="ssim", **FIELDS))
        """,
        r"'ssim' is already registered by iqa-registry \S+ \(iqa_classical\)",
    ),
    "claims a name twice": (
        """
        @hookimpl
        def iqa_register_metrics(register):
            register(MetricSpec(name="twin", **FIELDS))
            register(MetricSpec(name="twin", **FIELDS))
        """,
        r"'twin' is already registered by a-failing 1.2 \(failing\)",
    ),
    "wrong signature": (
        """
        @hookimpl
        def iqa_register_metrics(registry):
            pass
        """,
        r"PluginValidationError: .*iqa_register_metrics.*'registry'",
    ),
    "misspelt hook": (
        """
        @hookimpl
        def iqa_register_metrix(register):
            pass
        """,
        r"implements iqa_register_metrix, which is not a hook. The hooks are iqa_register_commands, .*metrics",
    ),
    "forgotten marker": (
        """
        def iqa_register_metrics(register):
            register(MetricSpec(name="other", **FIELDS))
        """,
        r"defines iqa_register_metrics without @hookimpl",
    ),
    "undeclared direction": (
        """
        del FIELDS["higher_is_better"]

        @hookimpl
        def iqa_register_metrics(register):
            register(MetricSpec(name="other", **FIELDS))
        """,
        r"a MetricSpec does not declare higher_is_better. Add it in .*demo_plugin_\d+.py, line 1\d\.",
    ),
    "impossible declaration": (
        """
        @hookimpl
        def iqa_register_metrics(register):
            register(MetricSpec(name="other", **FIELDS | {"identity_score": 7.0}))
        """,
        r"metric 'other': identity_score=7.0 cannot be right",
    ),
    "no spec": (
        """
        @hookimpl
        def iqa_register_metrics(register):
            register("other")
        """,
        r"register takes a spec of iqa_registry.specs, got str",
    ),
    "hook that raises": (
        """
        @hookimpl
        def iqa_register_metrics(register):
            register(MetricSpec(name="other", **FIELDS))
            raise KeyError("gone")
        """,
        r"KeyError: 'gone'",
    ),
}


def record(registry, distribution="third-party"):
    return next(item for item in registry.plugins if item.origin.distribution == distribution)


@pytest.mark.parametrize(("source", "reason"), FAILING.values(), ids=FAILING)
def test_a_failing_plugin_is_listed_and_the_rest_works(install, source, reason):
    install(source, distribution="a-failing", plugin="failing")
    install(GOOD)
    registry = build_registry()
    failed = record(registry, "a-failing")
    assert not failed.loaded
    assert failed.contributions == []
    assert re.fullmatch(reason + r".*", failed.failure)
    assert registry.metrics["ssim"].origin.distribution == "iqa-registry"
    assert {"good", "psnr"} <= set(registry.metrics)
    assert "other" not in registry.metrics


def test_of_two_plugins_that_claim_one_name_the_first_keeps_it(install):
    install(GOOD, distribution="a-first")
    install(GOOD, distribution="b-second")
    registry = build_registry()
    assert registry.metrics["good"].origin == Origin("a-first", "1.2", "demo")
    assert (
        record(registry, "b-second").failure
        == "'good' is already registered by a-first 1.2 (demo). Choose another name."
    )


LOST = GOOD + '    register(Configuration("lost", base="nowhere"))\n'
WHY = "metric 'lost' is based on 'nowhere', which no plugin provides."


def test_a_configuration_of_an_unknown_metric_is_left_out_by_itself(install):
    install(LOST)
    registry = build_registry()
    # What failed is known before anybody reads the metrics, and the rest of the plugin stays.
    found = record(registry)
    assert (found.loaded, found.names("metric")) == (True, ["good"])
    assert [(item.name, item.failure) for item in found.contributions] == [("good", None), ("lost", WHY)]
    assert "good" in registry.metrics
    assert "lost" not in registry.metrics


def test_reading_the_registry_changes_nothing(install):
    install(LOST)
    registry = build_registry()
    before = repr(registry.plugins)
    _ = registry.metrics, registry.rankers, registry.weights.specs, registry.commands
    assert repr(registry.plugins) == before


def test_every_listing_names_what_failed(install, run_iqa):
    install(LOST)
    for command in (("list",), ("list", "datasets"), ("list", "weights")):
        assert f"not registered: metric of third-party 1.2 (demo): {WHY}" in run_iqa(*command).stderr
    (line,) = [line for line in run_iqa("plugins").stdout.splitlines() if line.startswith("demo")]
    assert re.search(rf"partly loaded +1 metric; {WHY}", line)


def test_a_configuration_based_on_a_lost_one_is_lost_too(install):
    install(LOST + '    register(Configuration("lost-too", base="lost"))\n')
    failures = {item.name: item.failure for item in record(build_registry()).contributions}
    assert failures == {"good": None, "lost": WHY, "lost-too": WHY}


def test_strict_mode_rejects_a_lost_configuration(install):
    install(LOST)
    with pytest.raises(PluginError, match=r"plugin third-party 1.2 \(demo\): metric 'lost' is based on"):
        build_registry(strict=True)


def test_a_field_that_does_not_exist_is_named(install):
    install("""
        @hookimpl
        def iqa_register_metrics(register):
            register(MetricSpec(name="other", licence="MIT", **FIELDS))
    """)
    reason = r"a MetricSpec has no field licence. Correct it in .*demo_plugin_\d+.py, line \d+\."
    assert re.fullmatch(reason, record(build_registry()).failure)


def test_what_a_plugin_contributes_knows_its_origin(install):
    install(GOOD)
    registry = build_registry()
    assert str(registry.metrics["good"].origin) == "third-party 1.2 (demo)"
    assert record(registry).hooks == ("iqa_register_metrics",)


def test_strict_mode_by_the_environment(install, monkeypatch):
    install("raise RuntimeError('no luck')")
    monkeypatch.setenv("IQA_STRICT_PLUGINS", "0")
    assert record(build_registry()).failure == "RuntimeError: no luck"
    monkeypatch.setenv("IQA_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"plugin third-party 1.2 \(demo\): RuntimeError: no luck"):
        build_registry()


def test_the_environment_limits_which_plugins_load(install, monkeypatch):
    install(GOOD)
    monkeypatch.setenv("IQA_LOAD_PLUGINS", "demo, iqa_learned")
    assert {item.origin.plugin for item in find_candidates()} == {"demo", "iqa_learned"}
    monkeypatch.setenv("IQA_LOAD_PLUGINS", "")
    assert build_registry().metrics == {}


def test_our_own_plugins_load_first(install):
    install(GOOD, distribution="aaa")
    distributions = [item.origin.distribution for item in find_candidates()]
    assert distributions == sorted(distributions, key=lambda name: name != "iqa-registry")
    assert distributions[-1] == "aaa"


def test_all_our_own_plugins_load():
    assert {item.origin.plugin: item.failure for item in load_plugins(find_candidates())} == {
        "iqa_classical": None,
        "iqa_datasets": None,
        "iqa_kcross": None,
        "iqa_learned": None,
        "iqa_published": None,
        "iqa_rankers": None,
        "iqa_segmentation": None,
    }


def test_registries_are_independent(install):
    install(GOOD)
    first, second = build_registry(), build_registry()
    first.metrics.clear()
    assert "good" in second.metrics


def test_the_command_line_lists_every_failure_and_goes_on(install, run_iqa):
    for number, (source, _) in enumerate(FAILING.values()):
        install(source, distribution=f"failing-{number}", plugin=f"failing{number}")
    install(GOOD)
    listed = run_iqa("list")
    assert listed.returncode == 0
    assert {"ssim", "good"} <= {line.split()[0] for line in listed.stdout.splitlines() if line}
    for number, (_, reason) in enumerate(FAILING.values()):
        reason = reason.replace("a-failing", "failing-[0-9]+").replace("(failing", "(failing[0-9]+")
        assert re.search(
            rf"plugin not loaded: failing-{number} 1.2 \(failing{number}\): .*{reason}", listed.stderr
        )


def test_wrong_settings_do_not_hide_the_help_page(run_iqa, tmp_path):
    (tmp_path / "iqa.toml").write_text('[metrics.mine]\nbase = "nowhere"\n')
    done = run_iqa("--help")
    assert (done.returncode, "evaluate" in done.stdout) == (0, True)
    assert re.fullmatch(r"iqa: error: .*iqa.toml.*'mine' is based on 'nowhere'.*\n", done.stderr)
    assert run_iqa("list").returncode == 2


def test_a_plugin_brings_a_command(install, run_iqa):
    module = install(
        """
        import click

        @click.command()
        @click.argument("name")
        def greet(name):
            click.echo(f"good day, {name}")

        @hookimpl
        def iqa_register_commands(register):
            register("greet", "Say something kind.", __name__ + ":greet")
        """
    )
    assert module
    assert "Say something kind." in run_iqa("--help").stdout
    assert run_iqa("greet", "Röntgen").stdout == "good day, Röntgen\n"
