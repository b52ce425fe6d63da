"""The package index that the user has configured for pip (or uv): environment first, then pip's own files.

Only what is needed to reach the index is read: addresses, local folders of archives, certificate, proxy and
trusted hosts. Many hospitals reach such an index, often a mirror of their own, and nothing else.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FLAGS_OFF = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class PipSettings:
    """How to reach the package index.

    Attributes:
        indexes: addresses of simple indexes, in order.
        find_links: folders or pages with archives, searched first.
        verify: path of a certificate bundle, or ``True`` for the system's own.
        proxy: address of a proxy; ``None`` leaves it to the environment.
        trusted_hosts: hosts whose certificate is not checked (the archive's hash always is).
    """

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    verify: str | bool = True
    proxy: str | None = None
    trusted_hosts: frozenset[str] = frozenset()


def read_pip_settings(
    environ: Mapping[str, str] | None = None, files: tuple[Path, ...] | None = None
) -> PipSettings:
    """Read the settings as pip would, including uv's variables for the index.

    Args:
        environ: the environment; ``os.environ`` by default.
        files: pip's configuration files, weakest first; those of this machine by default.

    Example:
        >>> read_pip_settings({"PIP_INDEX_URL": "https://mirror.example/simple"}, files=()).indexes
        ('https://mirror.example/simple',)
    """
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    environ = os.environ if environ is None else environ
    options = _file_options(_configuration_files(environ) if files is None else files)
    options |= _uv_options(environ)
    options |= _pip_options(environ)
    indexes = [options.get("index-url") or PYPI_SIMPLE_ENDPOINT, *options.get("extra-index-url", "").split()]
    if options.get("no-index", "").lower() not in _FLAGS_OFF:
        indexes = []
    return PipSettings(
        indexes=tuple(indexes),
        find_links=tuple(options.get("find-links", "").split()),
        verify=options.get("cert") or True,
        proxy=options.get("proxy") or None,
        trusted_hosts=frozenset(options.get("trusted-host", "").split()),
    )


def _pip_options(environ: Mapping[str, str]) -> dict[str, str]:
    prefix = "PIP_"
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(prefix)
    }


def _uv_options(environ: Mapping[str, str]) -> dict[str, str]:
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    extra = environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL")
    options = {"index-url": _unnamed(default)} if default else {}
    if extra:
        options["extra-index-url"] = " ".join(map(_unnamed, extra.split()))
    return options


def _unnamed(index: str) -> str:
    """The address alone; uv admits ``name=address``."""
    name, _, address = index.partition("=")
    return address if address and name.replace("-", "").replace("_", "").isalnum() else index


def _file_options(files: tuple[Path, ...]) -> dict[str, str]:
    options: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip reports its own broken configuration; here the next source of settings serves.
        for section in ("global", "download", "install"):
            if parser.has_section(section):
                options |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return options


def _configuration_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where pip looks: system, user, environment, ``PIP_CONFIG_FILE``; later ones win."""
    import platformdirs

    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return ()
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    system = platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    folders = [Path(folder) for folder in system]
    if os.name != "nt":
        folders.append(Path("/etc"))
    legacy = Path.home() / ("pip" if os.name == "nt" else ".pip")
    folders += [
        legacy,
        Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)),
        Path(sys.prefix),
    ]
    files = [folder / name for folder in folders]
    return (*files, Path(chosen)) if chosen else tuple(files)
