"""The example plugin, and docs/plugins.md: every file, block and command on that page."""

import doctest
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import sysconfig
import tokenize
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iqa_registry.cli.check import find_metrics
from iqa_registry.errors import WeightsError
from iqa_registry.registry import build_registry
from iqa_registry.testing import CHECKS, assert_conforms

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "iqa-plugin-example"
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- ([^>]*) -->\n)?```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)


def blocks(language, mark=""):
    return [text for marked, kind, text in BLOCKS if kind == language and marked == mark]


@pytest.fixture
def registry(install, monkeypatch):
    """All plugins of the page and the example, as if they were installed."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for number, source in enumerate(blocks("python")):
        install(source, distribution=f"page-{number}", plugin=f"page{number}", header="")
    return find_metrics(str(EXAMPLE / "iqa_plugin_example" / "plugin.py"))[0]


@pytest.mark.parametrize("mark", [mark for mark, _, _ in BLOCKS if mark.startswith("file: ")])
def test_the_files_on_the_page_are_those_of_the_example(mark):
    (text,) = [text for marked, _, text in BLOCKS if marked == mark]
    assert text == (EXAMPLE / mark.removeprefix("file: ")).read_text(encoding="utf-8")


def test_metric_configuration_and_declaration_take_under_twenty_lines():
    files = list((EXAMPLE / "iqa_plugin_example").glob("*.py"))
    assert {path.name for path in files} == {"__init__.py", "ncc.py", "plugin.py"}
    assert 10 < sum(code_lines(path.read_text(encoding="utf-8")) for path in files) < 20


def code_lines(text):
    """Lines that hold code: neither blank nor comment nor docstring."""
    skipped = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines, statement = set(), []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            if [item.type for item in statement] != [tokenize.STRING]:
                lines |= {line for item in statement for line in range(item.start[0], item.end[0] + 1)}
            statement = []
        elif token.type not in skipped:
            statement.append(token)
    return len(lines)


def test_code_lines_are_counted():
    assert (
        code_lines('"""Docstring,\nof two lines."""\n\nx = [\n    1,  # one\n]\n# comment\ny = """a\nb"""\n')
        == 5
    )


def test_every_plugin_on_the_page_loads(registry):
    assert [record.failure for record in registry.plugins if record.failure] == []
    assert sum(record.origin.distribution.startswith("page-") for record in registry.plugins) == 6


@pytest.mark.parametrize(
    "name",
    [
        "ncc",
        "ssim-7",
        "gradient-difference",
        "sharpness",
        "mean-distance",
        "power-error",
        "power-error:reduce=max",
    ],
)
def test_the_metrics_on_the_page_conform(registry, name):
    assert_conforms(name, registry)


def test_the_examples_on_the_page_give_what_it_says(registry):
    scope = {"registry": registry, "np": np}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    text = "\n".join(blocks("pycon"))
    runner.run(doctest.DocTestParser().get_doctest(text, scope, "docs/plugins.md", None, 0))
    assert runner.summarize() == (0, 23)


def test_weights_on_the_page_are_declared_and_asked_for(registry, monkeypatch):
    monkeypatch.setenv("IQA_OFFLINE", "1")
    assert registry.resolve_metric("weighted").weights == ("weighted-conv",)
    with pytest.raises(WeightsError, match=r"weighted-conv.*package my_package.*example.org"):
        registry.metric("weighted")


def test_the_dataset_on_the_page_gives_pairs(registry, tmp_path):
    for name in ("b_real.png", "a_fake.png", "a_real.png", "b_fake.png"):
        (tmp_path / name).touch()
    pairs = list(registry.dataset(f"study:{tmp_path}").pairs())
    assert [(pair.pair_id, Path(pair.synthesized).name) for pair in pairs] == [
        ("a", "a_fake.png"),
        ("b", "b_fake.png"),
    ]


def test_the_command_on_the_page_runs(registry, run_iqa):
    assert run_iqa("greet", "Röntgen").stdout == "good day, Röntgen\n"


def test_the_settings_on_the_page_name_a_configuration(tmp_path, monkeypatch):
    (tmp_path / "iqa.toml").write_text(blocks("toml")[0])
    monkeypatch.chdir(tmp_path)
    registry = build_registry()
    assert registry.metrics["ssim-fine"].summary == "SSIM with a small window"
    assert registry.metric("ssim-fine:sigma=1").configuration.startswith(
        "ssim-fine:dimensions=2,window=7,sigma=1.0"
    )


def test_a_failing_plugin_shows_as_the_page_says(install, run_iqa):
    source = (
        '@hookimpl\ndef iqa_register_metrics(register):\n    register(MetricSpec(name="ssim", **FIELDS))\n'
    )
    install(source)
    (text,) = blocks("console", "failing")
    (line,) = [line for line in run_iqa("plugins").stdout.splitlines() if line.startswith("demo")]
    version = importlib.metadata.version("iqa-registry")
    assert (
        line.split() == text.splitlines()[-1].replace("iqa-registry 0.1.0", f"iqa-registry {version}").split()
    )


def test_the_table_of_checks_is_what_the_checks_say():
    checks = {check.__name__.replace("_", " "): check for kind in CHECKS.values() for check in kind}
    rows = [f"| {name} | {check.__doc__.splitlines()[0]} |" for name, check in checks.items()]
    table = PAGE.partition("<!-- checks -->\n")[2].splitlines()[2:]
    assert [line for line in table if line.startswith("|")] == [row.replace("``", "`") for row in rows]


@pytest.fixture
def other_environment(tmp_path):
    """A virtual environment that sees this one's packages; ``(run, uv)`` run Python and uv in it."""
    pytest.importorskip("uv")
    pytest.importorskip("hatchling")
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    inside = Path(sysconfig.get_path("purelib", vars=paths))
    inside.joinpath("parent.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"

    def run(*arguments, columns=80):
        return subprocess.run(
            [python, *map(str, arguments)],
            env=os.environ | {"COLUMNS": str(columns)},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
        )

    def uv(*arguments):
        command = [sys.executable, "-m", "uv", "pip", arguments[0], "--python", python, *arguments[1:]]
        subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=300)

    return run, uv


@pytest.mark.slow
def test_installed_elsewhere_it_is_listed_and_scores_and_is_gone_when_uninstalled(
    other_environment, tmp_path
):
    run, uv = other_environment
    assert "ncc" not in run("-m", "iqa_registry", "list").stdout
    uv("install", "--no-deps", "--no-build-isolation", EXAMPLE)
    listed = run("-m", "iqa_registry", "list", columns=200).stdout
    assert re.search(r"^ncc .* iqa-plugin-example 0\.1\.0 ", listed, re.MULTILINE)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 64), dtype=np.uint8)
    for name, image in zip(("synthesized.png", "reference.png"), pixels, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    scored = run("-m", "iqa_registry", "evaluate", "synthesized.png", "reference.png", "-m", "ncc", "--csv")
    assert scored.returncode == 0, scored.stderr
    header, row = (line.split(",") for line in scored.stdout.splitlines())
    expected = np.corrcoef(pixels[0].ravel(), pixels[1].ravel())[0, 1]
    assert float(dict(zip(header, row, strict=True))["score"]) == pytest.approx(expected, abs=1e-6)
    uv("uninstall", "iqa-plugin-example")
    gone = run("-m", "iqa_registry", "evaluate", "synthesized.png", "reference.png", "-m", "ncc")
    assert (gone.returncode, "there is no metric 'ncc'" in gone.stderr) == (2, True)


@pytest.mark.slow
def test_the_commands_on_the_page_print_what_it_says(other_environment, tmp_path):
    run, uv = other_environment
    for text in blocks("console", "run"):
        for command, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", text, flags=re.MULTILINE):
            program, *arguments = command.split()
            if program == "pip":
                uv(arguments[0], "--no-deps", "--no-build-isolation", EXAMPLE)
                continue
            result = run("-m", "iqa_registry", *arguments, columns=120)
            assert result.returncode == 0, result.stderr
            assert [line.split() for line in result.stdout.splitlines()] == [
                line.split() for line in shown.splitlines()
            ]


@pytest.mark.slow
def test_the_examples_own_tests_pass_where_it_is_installed(other_environment):
    run, uv = other_environment
    uv("install", "--no-deps", "--no-build-isolation", EXAMPLE)
    result = run("-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLE / "tests")
    assert result.returncode == 0, result.stdout
