"""What ``hutch serve`` is told and changes nothing: each is named in a warning."""

from pathlib import Path

import pytest

from hutch.fakebroker.cli import main


@pytest.mark.parametrize(
    ("text", "options", "variables", "warning"),
    [
        (
            "disk_free_limit.absolute = 50MB",
            [],
            {},
            "{}: disk_free_limit.absolute has no meaning here: no message is on a disk",
        ),
        (
            "disk_free_limit.relative = 1.0",
            [],
            {},
            "{}: disk_free_limit.relative has no meaning here: no message is on a disk",
        ),
        ("vm_memory_calculation_strategy = rss", [], {}, "{}: vm_memory_calculation_strategy has no meaning here"),
        ("management.path_prefix = /x", [], {}, "{}: management.path_prefix has no meaning here"),
        (
            "ssl_options.verify = verify_none",
            [],
            {},
            "ssl_options and ssl_cert_login_from change nothing without listeners.ssl",
        ),
        (
            "listeners.tcp.1 = 127.0.0.1:0",
            ["--host", "::1"],
            {},
            "--host changes nothing: each listener of the rabbitmq.conf has an address of its own",
        ),
        ("", [], {"RABBITMQ_NODENAME": "rabbit@shop"}, "RABBITMQ_NODENAME has no meaning here"),
        (
            "default_user_tags.monitoring = true",
            ["--definitions", "{definitions}"],
            {},
            "default_user_tags and default_permissions change nothing: definitions take the place of the default user",
        ),
        (
            "definitions.import_backend = local_filesystem\nheartbeat = 7",
            [],
            {"RABBITMQ_URL": "of an application"},
            None,
        ),
    ],
)
def test_what_changes_nothing_is_named(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    options: list[str],
    variables: dict[str, str],
    warning: str | None,
) -> None:
    caplog.set_level("WARNING")
    conf, definitions = tmp_path / "rabbitmq.conf", tmp_path / "definitions.json"
    definitions.write_text("{}")
    conf.write_text(f"{text}\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = [option.format(definitions=definitions) for option in options]
    assert main(["serve", "--check", "--config", str(conf), *given]) == 0
    wanted = [] if warning is None else [warning.format(conf)]
    assert [record.getMessage() for record in caplog.records] == wanted
