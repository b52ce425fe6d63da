"""One grammar: an option is the same in every command, and what is wrong with it is said at once."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import polars as pl
import pytest
from PIL import Image

from command_line import run_in_process
from iqa_registry.cli.app import OWN, app, load_command
from iqa_registry.cli.arguments import SHARED, option
from iqa_registry.cli.command import SECTIONS, Command, Group
from iqa_registry.registry import build_registry
from iqa_registry.sample import MANIFEST, RATINGS

EXCEPTIONS = {
    ("iqa evaluate", "--pool"): "pools the rows of slices, not the ratings of raters",
    ("iqa kcross segmenters", "--segmenter"): "compares several",
    ("iqa kcross domain-gap", "--weights"): "compares several",
    ("iqa kcross evaluate", "--weights"): "has weights that ship",
    ("iqa kcross ablate", "--weights"): "has weights that ship",
    ("iqa kcross segmenters", "--weights"): "has weights that ship",
    ("iqa kcross evaluate", "--table"): "also writes notes, which Parquet cannot hold",
    ("iqa kcross ablate", "--table"): "also writes notes, which Parquet cannot hold",
    ("iqa kcross segmenters", "--table"): "also writes notes, which Parquet cannot hold",
    ("iqa kcross domain-gap", "--table"): "also writes notes, which Parquet cannot hold",
    ("iqa kcross train", "--precision"): "Lightning chooses, and has one more",
    ("iqa kcross train", "--size"): "a file of settings may give it",
    ("iqa kcross train", "--source"): "a file of settings may give it",
    ("iqa kcross train", "--target"): "a file of settings may give it",
    ("iqa kcross train", "--seed"): "a file of settings may give it",
    ("iqa phantom make", "--count"): "a number that suits what is made",
    ("iqa phantom subjects", "--count"): "a number that suits what is made",
    ("iqa phantom make", "--seed"): "as the parameter of the dataset",
    ("iqa phantom subjects", "--seed"): "as the parameter of the dataset",
    ("iqa phantom make", "--size"): "two sizes",
    ("iqa phantom subjects", "--size"): "two sizes",
    ("iqa phantom make", "--source"): "four modalities",
    ("iqa phantom make", "--target"): "four modalities",
    ("iqa segment train", "--batch-size"): "a training needs a number",
    ("iqa segment train", "--size"): "networks need 16 pixels",
    ("iqa segment evaluate", "--size"): "networks need 16 pixels",
    ("iqa segment evaluate", "--segmenter"): "has one that ships",
    ("iqa segment predict", "--segmenter"): "has one that ships",
}
"""Where type, default or number of values differ, and why."""


def walk(name, command):
    yield name, command
    if isinstance(command, click.Group):
        for inner, found in command.commands.items():
            yield from walk(f"{name} {inner}", found)


def all_commands():
    registry = build_registry(config=Path(os.devnull))
    targets = OWN | {name: item.target for name, item in registry.commands.items()}
    return {
        name: command
        for first, target in targets.items()
        for name, command in walk(f"iqa {first}", load_command(target))
    }


PAGES = {"iqa": app} | all_commands()
"""Everything that has a help page: commands, groups and the program."""
COMMANDS = {name: command for name, command in PAGES.items() if not isinstance(command, click.Group)}
OURS = COMMANDS


def options(command):
    return [item for item in command.params if isinstance(item, click.Option) and not item.hidden]


def named(item):
    return max(item.opts, key=len)


def shared(name):
    decorated = option(name)(lambda: None)
    return decorated.__click_params__[0]


def form(item):
    default = None if "UNSET" in repr(item.default) else item.default
    return repr(item.type), default, item.multiple, item.is_flag


def test_the_walk_sees_plugins_and_subcommands():
    assert {"iqa agree", "iqa kcross domain-gap", "iqa segment predict", "iqa weights fetch"} <= set(COMMANDS)


@pytest.mark.parametrize("name", OURS)
def test_a_shared_option_is_the_same_everywhere(name):
    for item in options(OURS[name]):
        key = named(item).removeprefix("--")
        if key not in SHARED:
            continue
        expected = shared(key)
        assert item.help.startswith(expected.help), item.opts
        assert item.opts == expected.opts
        assert item.section == expected.section
        if (name, named(item)) not in EXCEPTIONS:
            assert form(item) == form(expected), item.opts
            assert item.metavar == expected.metavar


def test_no_exception_is_stale():
    for (name, key), reason in EXCEPTIONS.items():
        item = next(item for item in options(COMMANDS[name]) if named(item) == key)
        assert form(item) != form(shared(key.removeprefix("--"))), (name, key)
        assert reason


def test_an_option_of_two_commands_is_a_shared_one():
    found = {}
    for name, command in OURS.items():
        for item in options(command):
            key = named(item)
            if key.removeprefix("--") not in SHARED:
                found.setdefault(key, {})[name] = (item.help, item.metavar, form(item))
    for key, uses in found.items():
        assert len({str(use) for use in uses.values()}) == 1, (key, list(uses))


@pytest.mark.parametrize("name", OURS)
def test_help_is_a_sentence_and_each_option_is_in_a_section(name):
    command = OURS[name]
    assert command.help.partition("\n")[0].endswith((".", "?"))
    assert command.help[0].isupper()
    for item in options(command):
        assert item.help[0].isupper(), item.opts
        assert item.help.endswith("."), item.opts
        assert item.section in SECTIONS
        assert (item.section == "Options") == (item.opts == ["--debug"]), item.opts


@pytest.mark.parametrize("name", PAGES)
def test_help_ends_with_two_examples(iqa, name):
    command = PAGES[name]
    assert len(set(command.examples)) >= 2
    text = iqa(*name.split()[1:], "--help").stdout
    assert text.partition("\nExamples:\n")[2].splitlines() == [f"  {line}" for line in command.examples]
    for line in command.examples:
        parse(line)
    assert any(line.startswith(name) for line in command.examples)


def test_the_pages_are_those_of_groups_too():
    groups = {name for name, command in PAGES.items() if isinstance(command, click.Group)}
    assert {"iqa", "iqa plugin", "iqa weights", "iqa datasets", "iqa kcross", "iqa phantom"} <= groups
    assert {"iqa reproduce", "iqa segment"} <= groups
    assert len(COMMANDS) > 30


def test_the_examples_of_a_group_are_of_different_commands():
    group = Group("pets")
    for name, lines in {"cat": ("cat 1", "cat 2"), "dog": ("dog 1",), "plain": ()}.items():
        group.add_command(Command(name, examples=lines))
    assert group.examples == ("cat 1", "dog 1")
    group.commands.pop("dog")
    assert group.examples == ("cat 1", "cat 2")
    assert Group("pets", commands=group.commands, examples=("mine",)).examples == ("mine",)


def parse(line):
    """Read an example's options as its command does; nothing is run."""
    words = shlex.split(line)
    names = [name for name in COMMANDS if words[: len(name.split())] == name.split()]
    name = max(names, key=len)
    return COMMANDS[name].make_context(name, words[len(name.split()) :])


def test_a_wrong_example_is_found():
    with pytest.raises(click.UsageError):
        parse("iqa agree RUN --metrik ssim")


def test_every_command_has_debug_once():
    for name, command in COMMANDS.items():
        assert sum("--debug" in item.opts for item in command.params) == 1, name


def test_earlier_names_are_accepted_and_not_shown(iqa):
    checked = 0
    for name, command in COMMANDS.items():
        shown = iqa(*name.split()[1:], "--help").stdout.partition("\nExample")[0].split()
        for item in options(command):
            for old in getattr(item, "old", ()):
                checked += 1
                assert old not in shown
                assert not any(old in other.opts for other in options(command)), (name, old)
                wrong = iqa(*name.split()[1:], old) if not item.is_flag else iqa(*name.split()[1:], old, "-?")
                assert "No such option" in wrong.stderr or "requires an argument" in wrong.stderr, (
                    name,
                    old,
                )
    assert checked > 15


WRONG = """
import json, sys
import click
from click.testing import CliRunner
from iqa_registry.cli.app import app
sys.path[:0] = {folders!r}
from test_options import COMMANDS, options

more = {{
    "iqa evaluate": [("--intensity", "loud"), ("--slices", "a")],
    "iqa kcross evaluate": [()],
    "iqa kcross segmenters": [("--fresh",), ("--json", "--csv")],
    "iqa kcross domain-gap": [()],
    "iqa reproduce translation-figure2": [("--plot",)],
    "iqa maps": [("--intensity", "range=2,1")],
}}
bad = {{}}
asked = 0
for name, command in COMMANDS.items():
    typed = [item for item in options(command) if not item.is_flag and item.type is not click.STRING]
    typed = [item for item in typed if not isinstance(item.type, click.Path) or item.name == "output"]
    bad_values = {{"columns": ",", "folder": "a.csv"}}
    wrong = [(item.opts[0], bad_values.get(item.type.name, "?!")) for item in typed if hasattr(item, "section")]
    for given in [("--no-such-option",), *wrong, *more.get(name, [])]:
        asked += 1
        done = CliRunner().invoke(app, [*name.split()[1:], *given], prog_name="iqa")
        if done.exit_code != 2 or done.stderr.count("\\n") != 1:
            bad[f"{{name}} {{given}}"] = done.output
print(json.dumps([asked, bad, sorted({{"torch", "scipy", "nibabel"}} & set(sys.modules))]))
"""


def test_a_wrong_option_is_one_line_before_torch_is_imported(tmp_path):
    here = Path(__file__).parent
    code = WRONG.format(folders=[str(here), str(here.parent / "support")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    asked, bad, heavy = json.loads(done.stdout)
    assert asked > 100
    assert bad == {}
    assert heavy == []


def test_a_wrong_metric_name_is_reported_before_torch_is_imported(tmp_path):
    code = f"""
import sys
from iqa_registry.cli.app import app
try:
    app({["evaluate", "--metric", "ssmi", "-o", str(tmp_path / "out")]!r})
except SystemExit as stop:
    print(stop.code, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert "there is no metric 'ssmi'. Did you mean 'ssim'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval",), "There is no command 'eval'. Did you mean 'evaluate'?"),
        (("kcross", "evalute"), "There is no command 'evalute'. Did you mean 'evaluate' or 'ablate'?"),
        (("data",), "Did you mean 'datasets'?"),
        (("zzz",), "There is no command 'zzz'. See `iqa --help`."),
        (("agree", "x", "--resample", "5"), "Did you mean"),
        (("--nonsense",), "No such option"),
        (("phantom", "make", "a", "-o", "b"), "unexpected extra argument (a)"),
        (("phantom", "make", "-o", "b", "a"), "unexpected extra argument (a)"),
    ],
)
def test_mistyped_commands_and_options(iqa, arguments, message):
    done = iqa(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_help_groups_commands_and_a_plugin_s_own_are_last(iqa, install):
    install("""
        @hookimpl
        def iqa_register_commands(register):
            register("mine", "Do what I want.", "nowhere:app")
            register("models-of-mine", "List my models.", "nowhere:app", section="Models")
    """)
    text = iqa("--help").stdout
    titles = ["Score:", "Compare with ratings:", "Data:", "Models:", "Registry:", "Plugins:"]
    assert [line for line in text.splitlines() if line in titles] == titles
    assert text.index("\n  mine ") > text.index("Plugins:")
    assert text.index("Models:") < text.index("models-of-mine") < text.index("Registry:")


def test_choices_and_devices_are_completed(iqa):
    def ask(*words):
        return iqa(
            COMP_WORDS=" ".join(["iqa", *words]), COMP_CWORD=str(len(words)), _IQA_COMPLETE="bash_complete"
        ).stdout.split()

    assert ask("evaluate", "--axis", "co") == ["plain,coronal"]
    assert ask("kcross", "evaluate", "--device", "cu") == ["plain,cuda"]
    assert ask("agree", "--pool", "t") == ["plain,trimmed-mean"]
    assert "plain,--over" not in ask("agree", "--o")


def write_images():
    """Images, volumes and folders of both sides, in the current folder."""
    import nibabel

    for name, folder, shade in (("fake", "synthesized", 90), ("real", "reference", 120)):
        image = np.linspace(0, shade, 64 * 64).reshape(64, 64).astype(np.uint8)
        model = "unit/" if name == "fake" else ""
        files = {
            f"{name}.png": image,
            f"{name}/{model}01_{name}_B.png": image,
            f"{folder}/01.png": image,
            "masks/01.png": np.where(image > 40, 255, 0).astype(np.uint8),
        }
        for file, values in files.items():
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(file)
        volume = np.repeat(image[..., None], 82, axis=2)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), f"{name}.nii.gz")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the files that examples name."""
    folder = tmp_path_factory.mktemp("desk")
    ratings = pl.read_csv(RATINGS)
    ratings.write_csv(folder / "ratings.csv")
    numbers = [number / 10 for number in range(1, 11)]
    pl.DataFrame(
        {
            "pair_id": [f"{number:03d}" for number in range(10)],
            "epoch": range(10, 60, 5),
            "ssim": numbers,
            "dists": numbers[::-1],
            "rating": numbers,
        }
    ).write_csv(folder / "scores.csv")
    systems = {"method": list("abcde") * 2, "task": ["mri"] * 5 + ["ct"] * 5}
    pl.DataFrame(systems | {"dice": numbers, "fid": numbers[::-1]}).write_csv(folder / "systems.csv")
    old = Path.cwd()
    os.chdir(folder)
    pairs = (
        pl.read_csv(MANIFEST)
        .with_columns(
            pl.concat_str(pl.lit(f"{MANIFEST.parent}/"), name).alias(name)
            for name in ("synthesized", "reference", "mask")
        )
        .with_columns(
            model=pl.Series(["unit", "munit"] * 24),
        )
    )
    pairs.write_csv("pairs.csv")
    write_images()
    run_in_process("evaluate", "--pairs", "pairs.csv", "-m", "psnr", "-m", "ssim", "-o", "RUN")
    yield folder
    os.chdir(old)


EXAMPLES = [
    (name, line)
    for name, command in OURS.items()
    for line in command.examples
    if not name.startswith(("iqa kcross", "iqa segment"))
    and "/data/" not in line
    and not any(word in line for word in ("build-nirps", "weights import", "weights verify", "--all"))
] + [(name, line) for name in ("iqa kcross settings", "iqa segment list") for line in OURS[name].examples]


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_an_example_runs(desk, monkeypatch, name, line):
    monkeypatch.chdir(desk)
    done = run_in_process(*shlex.split(line)[1:])
    assert done.returncode == 0, done.stderr
    assert done.stdout
