"""The built wheel, not the checkout, is what users get: it must hold everything and work on its own."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import PRODUCT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout, without the network."""
    work = tmp_path_factory.mktemp("wheel")
    for name in PRODUCT:
        shutil.copytree(ROOT / name, work / "source" / name, ignore=LEFT_BEHIND)
    for name in ("setup.cfg", "setup.py", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, work / "source" / name)
    shutil.copytree(ROOT / "bin", work / "source" / "bin")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--use-pep517"]
    pip("wheel", *options, "--wheel-dir", str(work), str(work / "source"))
    (built,) = work.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    """Run pip of this environment; its words are in the failure."""
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_every_file_of_every_package(wheel: Path) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for name in PRODUCT
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "node_modules" not in path.parts
    }
    contained = {name for name in zipfile.ZipFile(wheel).namelist() if name.partition("/")[0] in PRODUCT}
    assert sorted(expected - contained) == [], "name them in [options.package_data] of setup.cfg"
    assert sorted(contained - expected) == []


def test_the_wheel_installs_the_command_and_no_foreign_package(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    (scripts,) = [top for top in tops if top.endswith(".data")]
    assert tops - set(PRODUCT) == {scripts, scripts.removesuffix(".data") + ".dist-info"}
    assert f"{scripts}/scripts/portfolio-sync" in zipfile.ZipFile(wheel).namelist()


def test_the_installed_packages_import_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    pip("install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "site"), str(wheel))
    # -I leaves out the working folder and the environment, so the checkout can come only from an editable install,
    # which stands behind the folder that is put first here.
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import {', '.join(PRODUCT)}; " + (
        "print(*(module.__file__ for module in (" + ", ".join(PRODUCT) + ")), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.split() if not line.startswith(str(tmp_path / "site"))] == []


def test_the_command_is_five_statements_and_patches_first() -> None:
    tree = ast.parse((ROOT / "bin/portfolio-sync").read_text(encoding="utf-8"))
    assert [type(statement).__name__ for statement in tree.body] == [
        "Expr",
        "ImportFrom",
        "Expr",
        "ImportFrom",
        "Raise",
    ]
    assert ast.unparse(tree.body[2]) == "monkey.patch_all()"
