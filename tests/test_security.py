"""Every call that can run code is known, and explained in docs/security.md."""

import re

import pytest

import sharp_calls
from source_tree import ROOT


def documented():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").partition("## Where a name")[2]
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| (.+?) \|$", text, re.MULTILINE)
    return {row[:3] for row in rows}


def test_document_lists_every_sharp_call():
    found = sharp_calls.all_sharp_calls()
    assert sorted(found - documented()) == [], "explain them in docs/security.md"
    assert sorted(documented() - found) == [], (
        "the source no longer has them; remove them from docs/security.md"
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import pickle\npickle.load(file)", "pickle.load"),
        ("from pickle import loads as read\nread(data)", "pickle.loads"),
        ("import torch as t\nt.load(path)", "torch.load"),
        ("def f():\n    import subprocess\n    subprocess.run(['ls'])", "subprocess.run"),
        ("import numpy as np\nnp.fromstring(x, allow_pickle=True)", "numpy.fromstring(allow_pickle=)"),
        ("import os\nos.execv(a, b)", "os.execv"),
        ("eval(text)", "eval"),
        ("getattr(module, name)()", "getattr"),
        ("import pickle\nclass A(pickle.Unpickler): pass", "class of pickle.Unpickler"),
        ("archive.extractall(folder)", "archive.extractall"),
        ("trainer.fit(m, ckpt_path=p)", "trainer.fit(ckpt_path=)"),
    ],
)
def test_sharp_calls_are_found(tmp_path, source, name):
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert [found for found, _ in sharp_calls.sharp_calls(path)] == [name]


@pytest.mark.parametrize(
    "source", ["getattr(module, 'name')", "import re\nre.compile('a')", "model.eval()", "s.load()"]
)
def test_ordinary_calls_are_not_reported(tmp_path, source):
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert not sharp_calls.sharp_calls(path)
