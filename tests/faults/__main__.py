"""``python -m tests.faults`` plays all libraries, and writes outcomes.json and the page anew.

``python -m tests.faults LIBRARY WAY [SCENE ...]`` plays one, or some of its scenes, and prints the outcomes as JSON.
"""

import json
import logging
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.drivers import DRIVERS
from tests.faults.scenes import SCENES, play, write_authority
from tests.faults.table import Outcomes, run, write

#: Number of scenes that are played at the same time. In most scenes somebody waits.
AT_ONCE = 8


def main(arguments: list[str]) -> None:
    """Play."""
    if arguments:
        library, way, *names = arguments
        scenes = [scene for scene in SCENES if not names or scene.name in names]
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
            ca = write_authority(Path(folder))
            longest_first = sorted(scenes, key=lambda scene: -scene.limit)
            played = {scene.name: pool.submit(play, library, way, scene, ca) for scene in longest_first}
            print(json.dumps({scene.name: played[scene.name].result() for scene in scenes}), flush=True)
        os._exit(0)  # some libraries have threads that wait for ever
    outcomes: Outcomes = {library: {} for library in DRIVERS}
    for library, driver in DRIVERS.items():
        for way in driver.ways:
            print(library, way, file=sys.stderr)
            outcomes[library][way] = run(library, way)
    write(outcomes)


logging.disable(logging.CRITICAL)
main(sys.argv[1:])
