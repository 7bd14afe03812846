"""The old emulator's code, under a package name of its own.

The copy has ``old_hutch.`` wherever the source has ``hutch.``: in imports at the top and inside functions, in names
that are imported as text, in groups of entry points. So the copy cannot reach the new code. :func:`check_apart` checks
that.
"""

import io
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: The package that the old emulator is.
OLD: Final = "old_hutch"
NEW: Final = "hutch"
#: The name of the package where Python reads it. Other texts, such as ``hutch@localhost``, do not match.
_NAME: Final = re.compile(r"\bhutch(?=\.[a-z]|[ \t]+import\b)|(?<=\bimport )hutch\b")
#: How many folders may be above the package: a source root, and the top folder of an sdist.
_AROUND: Final = 2


class LoadingError(Exception):
    """The old emulator cannot be loaded; the text is one line that says why."""


def extract(origin: str, folder: Path) -> str:
    """Write the code of ``origin`` below ``folder`` as the package :data:`OLD`. Returns a line that describes it.

    Args:
        origin: a path to a checkout, an sdist or a wheel; else a git revision of this checkout.
        folder: an empty folder.

    Raises:
        LoadingError: there is no such path or revision, or no hutch in it.
    """
    path = Path(origin)
    description = str(path.resolve()) if path.exists() else _described(origin)
    count = 0
    for place, source in _files(path) if path.exists() else _members(_archive(origin)):
        inside = _inside(place)
        if inside is not None:
            target = folder / OLD / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_NAME.sub(OLD, source.decode()), encoding="utf-8")
            count += 1
    if not count:
        raise LoadingError(f"{origin!r} has no package {NEW}")
    return description


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Make the package in ``folder`` importable. On exit, check that it is apart and forget its modules.

    Raises:
        LoadingError: see :func:`check_apart`.
    """
    sys.path.append(str(folder))
    invalidate_caches()
    try:
        yield
        check_apart()
    finally:
        sys.path.remove(str(folder))
        for name in modules(OLD):
            del sys.modules[name]


def modules(package: str) -> dict[str, ModuleType]:
    """The imported modules of a package, by name."""
    return {name: module for name, module in sys.modules.items() if name == package or name.startswith(package + ".")}


def check_apart() -> None:
    """Check that no module of the old emulator refers to the new one.

    Raises:
        LoadingError: a module does.
    """
    for name, module in modules(OLD).items():
        for attribute, value in vars(module).items():
            owner = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(owner, str) and owner.partition(".")[0] == NEW:
                raise LoadingError(f"{name}.{attribute} is of the new emulator, {owner}: the copy is not apart")


def new_is() -> str:
    """The folder of the new emulator, and how many of its modules are compiled."""
    loaded = [module for module in modules(f"{NEW}.fakebroker").values() if module.__file__]
    compiled = [module for module in loaded if not str(module.__file__).endswith(".py")]
    where = Path(str(sys.modules[f"{NEW}.fakebroker"].__file__)).parent
    return f"{where}, {f'{len(compiled)} of {len(loaded)} modules' if compiled else 'not'} compiled"


def _inside(place: str) -> PurePosixPath | None:
    """The place of a file below the package; ``None`` for other files."""
    path = PurePosixPath(place)
    parts = path.parts
    if path.suffix != ".py" or NEW not in parts[: _AROUND + 1] or parts[-1] == NEW:
        return None
    return PurePosixPath(*parts[parts.index(NEW) + 1 :])


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a folder, an sdist or a wheel, with their places in it."""
    if path.is_dir():
        for pattern in (f"{NEW}/**/*.py", f"*/{NEW}/**/*.py"):
            for file in sorted(path.glob(pattern)):
                yield file.relative_to(path).as_posix(), file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    elif tarfile.is_tarfile(path):
        yield from _members(path.read_bytes())
    else:
        raise LoadingError(f"{str(path)!r} is no folder, no sdist and no wheel")


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                yield member.name, file.read()


def _archive(revision: str) -> bytes:
    return _git("archive", "--format=tar", "--end-of-options", revision)


def _described(revision: str) -> str:
    return _git("log", "-1", "--format=%h %s", "--end-of-options", revision).decode().strip()


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise LoadingError("git is not installed") from None
    if done.returncode:
        raise LoadingError(done.stderr.decode(errors="replace").strip().splitlines()[0])
    return done.stdout
