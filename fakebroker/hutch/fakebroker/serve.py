"""``hutch serve``: the broker in the foreground, for any client in any language."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from hutch.fakebroker.serving.applying import describe, make_broker
from hutch.fakebroker.serving.logs import set_up_logs
from hutch.fakebroker.serving.options import make_parser, settings_of
from hutch.fakebroker.serving.running import load_tls, serve
from hutch.fakebroker.serving.settings import ServeSettings, WrongSetting

_log = logging.getLogger("hutch.fakebroker")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a broker on a TCP port, and on one for TLS if asked, until it is interrupted."""
    parser = make_parser()
    options = parser.parse_args(argv)
    set_up_logs(options.log_level, options.log_format)
    try:
        settings = settings_of(options, os.environ)
    except WrongSetting as wrong:
        parser.error(str(wrong))
    for warning in settings.warnings:
        _log.warning("%s", warning)
    try:
        if options.check:
            _check(settings)
        else:
            # The loop watches ports, which Windows' default loop cannot.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(serve(settings, options.ready_file))
    except WrongSetting as wrong:
        print(f"hutch serve: {wrong}", file=sys.stderr)
        return 1
    return 0


def _check(settings: ServeSettings) -> None:
    load_tls(settings)
    with make_broker(settings) as broker:
        for line in describe(broker, settings):
            print(line)
