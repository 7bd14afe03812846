"""The file for Docker Compose says what `hutch serve` does: its options, ports, variables and extras."""

import re
import shlex
import tomllib
from argparse import Namespace
from typing import Any

import pytest

from hutch.fakebroker.serving.options import make_parser, settings_of
from tests.pages.blocks import ROOT, read

yaml = pytest.importorskip("yaml", reason="PyYAML is not there; pip install '.[docs]' brings it")


def service() -> dict[str, Any]:
    (block,) = (block for block in read((ROOT / "docs/howto/compose.md").read_text()) if block.language == "yaml")
    services = yaml.safe_load(block.code)["services"]
    assert set(services) == {"rabbitmq", "app"}
    found: dict[str, Any] = services["rabbitmq"]
    return found


def command() -> str:
    shell, option, text = shlex.split(service()["command"])
    assert (shell, option) == ("sh", "-c")
    return text


def options() -> Namespace:
    return make_parser().parse_args(shlex.split(command().partition("exec hutch serve ")[2]))


def test_the_ports_are_those_that_it_listens_on() -> None:
    settings = settings_of(options(), service()["environment"])
    assert settings.management is not None
    places = (*settings.places, settings.management)
    assert [(place.host, place.port) for place in places] == [("0.0.0.0", 5672), ("0.0.0.0", 15672)]
    assert service()["ports"] == [f"{place.port}:{place.port}" for place in places]


def test_the_variables_name_user_and_virtual_host() -> None:
    settings = settings_of(options(), service()["environment"])
    assert (settings.default_user.name, settings.default_user.password) == ("app", "secret")
    assert settings.default_vhost == "shop"


def test_health_is_the_file_that_it_writes_when_it_is_ready() -> None:
    assert service()["healthcheck"]["test"] == ["CMD", "test", "-e", str(options().ready_file)]


def test_what_is_installed_answers_the_management_api() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = re.search(r"pip install --quiet '/src/hutch\[(\w+)\]'", command())
    assert installed is not None
    assert installed[1] == "management"
    assert any(requirement.startswith("h11") for requirement in extras["management"])
    assert [volume.partition(":")[2] for volume in service()["volumes"]] == ["/src/hutch"]
