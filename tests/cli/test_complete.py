"""Shell completion, asked as bash asks it: by environment variables."""

import shutil
import subprocess

import pytest

from iqa_registry.cli import complete
from iqa_registry.local_maps.kinds import ERRORS


@pytest.fixture
def completions(iqa):
    def ask(*words):
        done = iqa(
            COMP_WORDS=" ".join(["iqa", *words]), COMP_CWORD=str(len(words)), _IQA_COMPLETE="bash_complete"
        )
        assert not done.stderr
        return done.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["evaluate", "--metric", "ss"], {"plain,ssim"}),
        (["info", "gm"], {"plain,gmsd"}),
        (["maps", "-m", "sig"], {"plain,signed-error"}),
        (["weights", "fetch", "imagenet-a"], {"plain,imagenet-alex"}),
        (["ev"], {"plain,evaluate"}),
        (["evaluate", "--foreg"], {"plain,--foreground"}),
        (["evaluate", "pict"], {"file,pict"}),
    ],
)
def test_names_are_completed(completions, words, expected):
    assert set(completions(*words)) == expected


def test_maps_complete_only_what_has_a_map(completions):
    found = completions("maps", "-m", "")
    assert {"plain,error", "plain,ssim"} <= set(found)
    assert "plain,psnr" not in found


def test_completion_imports_no_torch(run_iqa):
    done = run_iqa(
        COMP_WORDS="iqa maps -m s", COMP_CWORD="3", _IQA_COMPLETE="bash_complete", PYTHONPROFILEIMPORTTIME="1"
    )
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "iqa_registry.registry" in imported
    assert not imported & {"torch", "polars", "pydantic", "rich"}


def test_broken_settings_complete_nothing(completions, tmp_path, monkeypatch):
    (tmp_path / "broken.toml").write_text("[metrics")
    monkeypatch.setenv("IQA_CONFIG", str(tmp_path / "broken.toml"))
    assert completions("info", "ss") == []


def test_names_of_error_maps_are_those_of_the_maps():
    assert set(complete.ERRORS) == set(ERRORS)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_script_works_in_bash(iqa, tmp_path):
    script = tmp_path / "iqa.bash"
    script.write_text(iqa("completion", "bash").stdout)
    asked = f"source {script}; complete -p iqa"
    done = subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, text=True, check=False)
    assert "_iqa_completion iqa" in done.stdout
