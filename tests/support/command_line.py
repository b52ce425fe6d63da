"""The command line in this process, since importing torch anew takes seconds."""

import traceback
from types import SimpleNamespace

from click.testing import CliRunner

from iqa_registry.cli.app import app


def run_in_process(*arguments):
    """Exit code, stdout and stderr of ``iqa``; the traceback of a defect is part of stderr."""
    done = CliRunner().invoke(app, list(map(str, arguments)), prog_name="iqa")
    stderr = done.stderr
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        stderr += "".join(traceback.format_exception(done.exception))
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=stderr)
