"""``python -m tests.faults`` plays all libraries, and writes outcomes.json and the page anew.

``python -m tests.faults LIBRARY WAY`` plays one, and prints the outcomes as JSON.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from tests.faults.drivers import DRIVERS
from tests.faults.scenes import SCENES, play, write_authority
from tests.faults.table import Outcomes, run, write


def main(arguments: list[str]) -> None:
    """Play."""
    if arguments:
        library, way = arguments
        with tempfile.TemporaryDirectory() as folder:
            ca = write_authority(Path(folder))
            print(json.dumps({scene.call: play(library, way, scene, ca) for scene in SCENES}), flush=True)
        os._exit(0)  # some libraries wait for ever, in threads of theirs
    outcomes: Outcomes = {library: {} for library in DRIVERS}
    for library, driver in DRIVERS.items():
        for way in driver.ways:
            print(library, way, file=sys.stderr)
            outcomes[library][way] = run(library, way)
    write(outcomes)


logging.disable(logging.CRITICAL)
main(sys.argv[1:])
