"""Every command of docs/evaluation.md prints what the page shows."""

import re
import shlex
from pathlib import Path

import pytest

from command_line import run_in_process

PAGE = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text()
BLOCKS = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
        exec(compile(script, "evaluation.md", "exec"), {})
    return folder


@pytest.mark.parametrize(("line", "shown"), BLOCKS, ids=[line for line, _ in BLOCKS])
def test_a_command_prints_what_the_page_shows(volumes, monkeypatch, line, shown):
    monkeypatch.chdir(volumes)
    monkeypatch.setenv("COLUMNS", "200")
    done = run_in_process(*shlex.split(line)[1:])
    assert done.returncode == 0, done.stderr
    assert [row.split() for row in done.stdout.splitlines()] == [row.split() for row in shown.splitlines()]
