"""The notebook of the first hour: run in a kernel of this interpreter, and its stored outputs compared with new ones.

``python tests/support/first_hour.py`` runs ``docs/first_hour.ipynb`` and stores the new outputs in it.
"""

import json
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "first_hour.ipynb"
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+")
TOLERANCE = 0.0025
"""Outputs are rounded to three decimals, and other processors differ in the last one."""


@contextmanager
def kernel(folder):
    """The name of a kernel that is this interpreter, whatever kernels the user has installed."""
    name = "first-hour"
    home = Path(folder) / "jupyter"
    (home / "kernels" / name).mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": name, "language": "python"}
    (home / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    settings = {
        "JUPYTER_PATH": str(home),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield name
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def execute(notebook, folder):
    """Run all cells in ``folder``, and return the notebook with their outputs; a cell that raises is an error."""
    notebook = nbformat.from_dict(json.loads(json.dumps(notebook)))
    with kernel(folder) as name:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name=name,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        kept = notebook.metadata
        client.execute()
    notebook.metadata = kept
    return notebook


def texts(cell):
    """What a cell printed or returned as text; figures and progress are left out."""
    found = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream" and output.name == "stdout":
            found.append(output.text)
        elif output.output_type == "execute_result":
            found.append(output.data["text/plain"])
    return "\n".join(found)


def differences(stored, fresh):
    """The cells whose text differs, by id, with both texts: in a word, or in a number by more than the tolerance."""
    found = {}
    for old, new in zip(stored.cells, fresh.cells, strict=True):
        first, second = texts(old), texts(new)
        if not _alike(first, second):
            found[old.id] = f"stored:\n{first}\nnew:\n{second}"
    return found


def _alike(first, second):
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (first, second)]
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (first, second)]
    return words[0] == words[1] and all(abs(a - b) <= TOLERANCE for a, b in zip(*numbers, strict=True))


def main():
    with tempfile.TemporaryDirectory() as folder:
        fresh = execute(nbformat.read(NOTEBOOK, as_version=4), folder)
    nbformat.write(fresh, NOTEBOOK)


if __name__ == "__main__":
    main()
