"""The package index as the user has configured it for pip or uv."""

from __future__ import annotations

from pypi_simple import PYPI_SIMPLE_ENDPOINT

from iqa_registry.weights.download import Connection
from iqa_registry.weights.pip_settings import read_pip_settings


def test_nothing_configured():
    assert read_pip_settings({}, files=()).indexes == (PYPI_SIMPLE_ENDPOINT,)


def test_a_later_file_wins_and_the_environment_over_all(tmp_path):
    system, user = tmp_path / "system", tmp_path / "user"
    system.write_text("[global]\nindex-url = https://a.example/simple\ncert = /a.pem\nproxy = http://p:1\n")
    user.write_text(
        "[global]\nindex_url = https://b.example/simple\ntrusted-host = b.example:8080 c.example\n"
    )
    settings = read_pip_settings({}, files=(system, user))
    assert settings.indexes == ("https://b.example/simple",)
    assert (settings.verify, settings.proxy) == ("/a.pem", "http://p:1")
    assert settings.trusted_hosts == {"b.example:8080", "c.example"}
    environ = {"PIP_INDEX_URL": "https://e.example/simple", "PIP_CERT": "/e.pem"}
    settings = read_pip_settings(environ, files=(system, user))
    assert (settings.indexes, settings.verify) == (("https://e.example/simple",), "/e.pem")


def test_several_values_stand_on_lines_or_between_blanks(tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://a.example\nextra-index-url =\n    https://b.example\n    file:///c\n"
        "find-links = /wheels /more\n"
    )
    settings = read_pip_settings({}, files=(file,))
    assert settings.indexes == ("https://a.example", "https://b.example", "file:///c")
    assert settings.find_links == ("/wheels", "/more")


def test_no_index_leaves_the_folders(tmp_path):
    settings = read_pip_settings({"PIP_NO_INDEX": "true", "PIP_FIND_LINKS": "/wheels"}, files=())
    assert (settings.indexes, settings.find_links) == ((), ("/wheels",))


def test_uv():
    environ = {"UV_DEFAULT_INDEX": "mirror=https://m.example/simple", "UV_INDEX": "https://n.example/?a=b"}
    assert read_pip_settings(environ, files=()).indexes == (
        "https://m.example/simple",
        "https://n.example/?a=b",
    )
    environ["PIP_INDEX_URL"] = "https://p.example"
    assert read_pip_settings(environ, files=()).indexes[0] == "https://p.example"


def test_a_broken_or_absent_file_is_passed_over(tmp_path):
    (tmp_path / "broken").write_text("no section\n")
    settings = read_pip_settings({}, files=(tmp_path / "broken", tmp_path / "absent"))
    assert settings.indexes == (PYPI_SIMPLE_ENDPOINT,)


def test_pip_config_file_is_read(tmp_path):
    (tmp_path / "mine.conf").write_text("[global]\nindex-url = https://mine.example\n")
    settings = read_pip_settings({"PIP_CONFIG_FILE": str(tmp_path / "mine.conf")})
    assert settings.indexes[0] == "https://mine.example"


def test_a_trusted_host_alone_goes_unchecked():
    settings = read_pip_settings(
        {"PIP_TRUSTED_HOST": "a.example b.example:8443", "PIP_CERT": "/c.pem"}, files=()
    )
    connection = Connection(settings)
    assert connection.verify("https://a.example/x") is False
    assert connection.verify("https://b.example:8443/x") is False
    assert connection.verify("https://b.example/x") == "/c.pem"
