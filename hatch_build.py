"""Builds the wheel with the modules that every message passes compiled to C by mypyc, where that is asked for.

    HATCH_BUILD_HOOK_ENABLE_CUSTOM=true pip install .

needs a C compiler. pyproject.toml lists the folders and modules; docs/performance.md tells what it gives.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The project's own settings name packages to check; here it is single modules.
_MYPY: Final = (
    "--config-file=",
    "--strict",
    "--no-site-packages",  # another hutch may be installed there
    "--ignore-missing-imports",
    "--namespace-packages",
    "--explicit-package-bases",
)


def chosen(config: Mapping[str, Sequence[str]], root: Path) -> list[str]:
    """The modules to compile, as paths below ``root``: those in ``folders``, and ``modules``, but not
    ``interpreted``.

    Raises:
        ValueError: a path of ``modules`` or ``interpreted`` is no file, or one of ``folders`` has no modules.
    """
    for path in (*config["modules"], *config["interpreted"]):
        if not (root / path).is_file():
            raise ValueError(f"pyproject.toml names {path}, which is no file")
    found = set(config["modules"])
    for folder in config["folders"]:
        modules = {path.relative_to(root).as_posix() for path in (root / folder).glob("*.py")}
        if not modules:
            raise ValueError(f"pyproject.toml names {folder}, which is no folder with modules")
        found |= modules
    return sorted(found - set(config["interpreted"]))


class CompiledWheel(BuildHookInterface[Any]):
    """Puts the compiled modules beside their sources, which stay in the wheel for tracebacks and type checkers."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; ``version`` is what kind of wheel it is. An editable install stays as it is written."""
        if version == "editable":
            return
        # Kept, since installers ask twice: for what is known of the wheel, then for the wheel.
        built = Path(self.root, "build", "compiled")
        for compiled in self._compile(built):
            build_data["force_include"][compiled] = os.path.relpath(compiled, built / "lib")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _compile(self, built: Path) -> list[str]:
        """The files that it makes below ``lib``, each at its place in the wheel."""
        from mypyc.build import mypycify  # noqa: PLC0415  (there only if the hook is enabled)
        from setuptools import Distribution  # noqa: PLC0415
        from setuptools.command.build_ext import build_ext  # noqa: PLC0415

        os.environ["MYPYPATH"] = os.pathsep.join(self.build_config.target_config["dev-mode-dirs"])
        modules = chosen(self.config, Path(self.root))
        extensions = mypycify([*_MYPY, *modules], target_dir=str(built / "c"))
        build = build_ext(Distribution({"name": "hutch", "ext_modules": extensions}))
        build.build_lib, build.build_temp = str(built / "lib"), str(built / "objects")
        build.ensure_finalized()
        build.run()
        files: list[str] = build.get_outputs()
        return files
