"""The version is that of the package's metadata, installed or not."""

from __future__ import annotations

import re
from importlib import metadata
from unittest.mock import patch

from dynbalancer.version import version


def test_version_of_a_checkout_is_a_number() -> None:
    with patch.object(metadata, "version", side_effect=metadata.PackageNotFoundError):
        version.cache_clear()
        found = version()
    version.cache_clear()
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", found)


def test_version_of_an_installed_package_is_its_own() -> None:
    with patch.object(metadata, "version", return_value="7.8.9"):
        version.cache_clear()
        assert version() == "7.8.9"
    version.cache_clear()
