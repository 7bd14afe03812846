"""Plays the same random operations on an old and on the new emulator in one process, and compares what both say.

    tools/beside COMMIT --operations 20000

The old emulator is the code of another commit under the package name ``old_hutch``. The new one is installed as
``hutch``. Both have a clock that is moved by hand and the same random seed, so no difference is tolerated. After each
write, all bytes and all events of the history must be the same. At the end of a script the queues must be the same.

- ``loading``: the old code, from git, a folder, an sdist or a wheel, under its other name
- ``adapters``: the names of hutch's broker that this package uses
- ``scripts``: draws operations from :mod:`hutch.conformance.differential` and the next two modules, and the writes
- ``oddities``: single operations that no live broker is asked for: bad input, alarms, users, virtual hosts
- ``scenes``, ``scene``: operations in a row that belong together
- ``clients``: what a client knows of one connection
- ``playing``: plays a script on both emulators
- ``comparing``: what an emulator said in a step; the report of a difference
- ``running``: many scripts; a difference is made small
- ``command``: the command line
"""
