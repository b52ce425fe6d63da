"""Extras: what messages and pages name exists, and what the base lacks is never imported at the top of a module."""

import re
import tomllib

import numpy as np
import pytest

from iqa_registry.agreement.comparison import holm
from source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SOURCES = [path for name in ("iqa_registry", "plugins") for path in (ROOT / name).rglob("*.py")]


def test_every_extra_that_a_message_names_exists():
    named = {}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"MissingExtraError\.of\((?:[^()]|\([^()]*\))*?,\s*\"(\w+)\"", text):
            named.setdefault(found, path.name)
        for found in re.findall(r'(?:install_command\(|\bextra=)"(?!forbid)(\w+)"', text):
            named.setdefault(found, path.name)
    assert {"nnunet", "excel", "train", "segment", "phantom", "pyiqa"} <= set(named)
    assert set(named) <= set(EXTRAS), named


def test_commands_that_are_spelled_out_have_the_form_that_works_everywhere():
    spelled = {
        found
        for path in SOURCES
        for found in re.findall(r'pip install "([^"{]+)"', path.read_text(encoding="utf-8"))
    }
    assert spelled
    assert spelled <= {f"iqa-registry[{name}]" for name in EXTRAS}


def test_the_readme_lists_every_extra():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r'\| `pip install "\.\[(\w+)\]"`', text))
    assert listed == set(EXTRAS)


def test_all_is_all():
    assert EXTRAS["all"] == [f"iqa-registry[{','.join(name for name in EXTRAS if name != 'all')}]"]


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_holm_s_correction_is_that_of_statsmodels(count):
    from statsmodels.stats.multitest import multipletests

    values = np.random.default_rng(count).random(count) ** 4
    values[-1] = values[0]
    np.testing.assert_allclose(holm(values.tolist()), multipletests(values, method="holm")[1], atol=1e-12)
