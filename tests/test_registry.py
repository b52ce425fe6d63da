"""From a name with parameters to a ready metric; configurations of plugins and of ``iqa.toml``."""

import subprocess
import sys

import pytest

import iqa_registry
from iqa_registry.errors import (
    MissingExtraError,
    ParameterError,
    PluginError,
    UnknownNameError,
    UsageError,
)
from iqa_registry.registry import build_registry
from iqa_registry.specs import Origin

PLUGIN = """
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from iqa_registry import FullReferenceMetric
from iqa_registry.specs import Configuration, DatasetSpec


class Power(FullReferenceMetric):
    def __init__(self, power: Annotated[float, Field(gt=0)] = 2.0, registry=None, spec=None):
        super().__init__()
        self.power, self.seen = power, (registry, spec)
        self.weight = nn.Parameter(torch.ones(1))

    def compare(self, synthesized, reference, mask=None):
        return (synthesized - reference).abs().pow(self.power).mean(dim=(1, 2, 3))


def needs_more():
    import no_such_package


@hookimpl
def iqa_register_metrics(register):
    fields = FIELDS | {"factory": __name__ + ":Power"}
    register(MetricSpec(name="power", **fields))
    register(Configuration("cubic", base="power", defaults={"power": 3}, summary="cubic error"))
    register(Configuration("cubic-again", base="cubic"))
    register(MetricSpec(name="absent", **fields | {"factory": "no_such_package.metric:M"}))
    register(MetricSpec(name="absent-extra", extra="more", **fields | {"factory": __name__ + ":needs_more"}))
    register(MetricSpec(name="renamed", **fields | {"factory": __name__ + ":Gone"}))
    register(MetricSpec(
        name="weighty", weights=("net-{net}",), weights_license="MIT", **fields | {"factory": __name__ + ":weighty"}
    ))


def weighty(net: Literal["alex", "vgg"] = "alex"):
    return Power()


class Folder:
    def __init__(self, path: str, split: str = "test"):
        self.path, self.split = path, split


@hookimpl
def iqa_register_datasets(register):
    register(DatasetSpec(name="folder", summary="a folder", license="MIT", factory=__name__ + ":Folder"))
"""


@pytest.fixture
def registry(install):
    install(PLUGIN)
    return build_registry()


@pytest.fixture
def with_settings(install, tmp_path, monkeypatch):
    """Build a registry with an ``iqa.toml`` of that text."""
    install(PLUGIN)

    def build(text):
        (tmp_path / "iqa.toml").write_text(text)
        monkeypatch.chdir(tmp_path)
        return build_registry()

    return build


def test_a_name_with_parameters_gives_a_ready_metric(registry):
    metric = registry.metric("power:power=3")
    assert metric.power == 3.0
    assert metric.configuration == "power:power=3.0"
    assert metric.spec.name == metric.label == "power"
    assert not metric.training


def test_the_factory_is_given_the_registry_and_the_declaration_if_it_asks(registry):
    assert registry.metric("power").seen == (registry, registry.metrics["power"])


def test_a_metric_knows_the_text_that_it_was_asked_for_by(registry):
    for text in ("power", "power:power=3", "cubic-again"):
        assert registry.metric(text).text == registry.metric(registry.resolve_metric(text)).text == text
    assert registry.metric("power: power = 3").text == "power:power=3"


def test_a_wrong_name_is_reported_without_torch():
    code = """
import sys, iqa_registry
try:
    iqa_registry.metric("SSMI:window=7")
except iqa_registry.errors.UnknownNameError as error:
    print(error, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout
        == "there is no metric 'SSMI'. Did you mean 'ssim' or 'srsim'? `iqa list` shows all. False\n"
    )


def test_everything_handed_out_has_an_origin(registry):
    kinds = registry.kinds.values()
    assert all(isinstance(spec.origin, Origin) for specs in kinds for spec in specs.values())
    assert {"power", "folder", "levels", "nnunet"} <= {name for specs in kinds for name in specs}


def test_weights_of_a_metric_are_fixed(registry):
    (weight,) = registry.metric("power").parameters()
    assert not weight.requires_grad


def test_the_full_configuration_names_the_same_metric(registry):
    resolved = registry.resolve_metric("ssim:window=7")
    assert resolved.text == "ssim:window=7"
    assert registry.resolve_metric(resolved.configuration).parameters == resolved.parameters
    assert resolved.parameters["window"] == 7


def test_weights_follow_the_parameters(registry):
    assert registry.resolve_metric("weighty").weights == ("net-alex",)
    assert registry.resolve_metric("weighty:net=vgg").weights == ("net-vgg",)


def test_a_configuration_takes_what_it_does_not_declare_from_its_base(registry):
    spec = registry.metrics["cubic-again"]
    assert (spec.summary, spec.base, spec.license) == ("cubic error", "cubic", "MIT")
    assert registry.metric("cubic-again").configuration == "cubic-again:power=3.0"
    assert registry.metric("cubic-again:power=5").power == 5.0


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("sism", UnknownNameError, "there is no metric 'sism'. Did you mean 'ssim'"),
        (
            "power:powr=2",
            ParameterError,
            "power has no parameter 'powr'. Did you mean 'power'? It has power.",
        ),
        ("power:power=two", ParameterError, "power: power: Input should be a valid number.*, got 'two'."),
        ("power:power=-1", ParameterError, "power: power: Input should be greater than 0, got '-1'."),
        (
            "weighty:net=resnet",
            ParameterError,
            "weighty: net: Input should be 'alex' or 'vgg', got 'resnet'.",
        ),
        ("power:registry=1", ParameterError, "power has no parameter 'registry'"),
        ("", UsageError, "expected NAME or NAME:KEY=VALUE"),
        ("power:", UsageError, "expected NAME or NAME:KEY=VALUE"),
        ("absent", PluginError, r"absent: cannot import no_such_package \(third-party\)."),
        ("absent-extra", MissingExtraError, r'no_such_package\. Run: pip install "third-party\[more\]"'),
        ("renamed", PluginError, r"renamed: demo_plugin_\d+ has no 'Gone' \(third-party 1.2 \(demo\)\)."),
    ],
)
def test_a_mistake_is_named(registry, text, error, message):
    with pytest.raises(error, match=message.replace("(demo)", r"\(demo\)").replace("?", r"\?")):
        registry.metric(text)


def test_datasets_take_a_path(registry):
    dataset = registry.dataset("folder:/data/a=b,split=train")
    assert (dataset.path, dataset.split) == ("/data/a=b", "train")
    with pytest.raises(UnknownNameError, match=r"there is no dataset 'foldr'. Did you mean 'folder'\?"):
        registry.dataset("foldr:/data")


def test_settings_name_configurations(with_settings):
    registry = with_settings('[metrics.quartic]\nbase = "cubic"\npower = 4\nsummary = "fourth power"\n')
    spec = registry.metrics["quartic"]
    assert (spec.origin.distribution, spec.summary) == ("user settings", "fourth power")
    assert registry.metric("quartic").power == 4.0
    assert list(registry.metrics) == sorted(registry.metrics)


def test_settings_take_lists_and_numbers_as_toml_writes_them(with_settings):
    registry = with_settings('[metrics.deep]\nbase = "ssim"\ndimensions = 3\nwindow = 5\n')
    assert registry.metric("deep").dimensions == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[metrics.mine]\npower = 4\n", r'iqa.toml: \[metrics.mine\] needs base = "NAME"'),
        ('metrics = "ssim"\n', r"iqa.toml: metrics must be tables, \[metrics.NAME\]"),
        (
            '[metrics.mine]\nbase = "nowhere"\n',
            "iqa.toml.*: metric 'mine' is based on 'nowhere', which no plugin",
        ),
        ('[metrics.ssim]\nbase = "mse"\n', "iqa.toml.*: 'ssim' is the name of a metric; choose another one"),
        ('[metrics.Mine]\nbase = "mse"\n', "iqa.toml: metric name 'Mine': use lower-case"),
        ('[metrics.a]\nbase = "b"\n[metrics.b]\nbase = "a"\n', "metric 'a' is based on itself: a -> b -> a"),
        ("[metrics", "iqa.toml: cannot be read as TOML: Expected ']'"),
    ],
)
def test_wrong_settings_are_refused_with_the_name_of_the_file(with_settings, text, message):
    with pytest.raises(UsageError, match=message):
        with_settings(text)


def test_a_wrong_parameter_in_the_settings_shows_when_it_is_used(with_settings):
    registry = with_settings('[metrics.mine]\nbase = "power"\nexponent = 4\n')
    with pytest.raises(ParameterError, match="mine has no parameter 'exponent'"):
        registry.resolve_metric("mine")


def test_the_environment_names_the_settings_file(with_settings, tmp_path, monkeypatch):
    with_settings('[metrics.mine]\nbase = "power"\n')
    other = tmp_path / "other.toml"
    other.write_text('[metrics.other]\nbase = "power"\n')
    monkeypatch.setenv("IQA_CONFIG", str(other))
    assert "other" in build_registry().metrics
    assert "mine" not in build_registry().metrics
    monkeypatch.setenv("IQA_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(UsageError, match=r"gone.toml: cannot be read as TOML: .*No such file"):
        build_registry()


def test_settings_of_the_user_are_found(tmp_path, monkeypatch):
    folder = tmp_path / "config" / "iqa-registry"
    folder.mkdir(parents=True)
    (folder / "iqa.toml").write_text('[metrics.mine]\nbase = "ssim"\n')
    monkeypatch.chdir(tmp_path)
    assert "mine" in build_registry().metrics


def test_every_public_name_can_be_had():
    for name in iqa_registry.__all__:
        assert getattr(iqa_registry, name) is not None
    assert iqa_registry.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="has no attribute 'ssim'"):
        _ = iqa_registry.ssim


def test_a_device_that_does_not_exist_is_rejected(registry):
    with pytest.raises(UsageError, match=r"'tpu9' is not a device\. Use cpu"):
        registry.metric("mae", device="tpu9")
