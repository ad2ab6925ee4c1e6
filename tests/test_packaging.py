"""What is installed is what is in the repository, and importing it is light."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOMES = {"gdtriton": ROOT / "gdtriton", "gdtriton/verify": ROOT / "verify", "gdtriton/models": ROOT / "models"}
SHIPPED = {".py", ".typed", ".html", ".css", ".j2", ".json", ".svg"}


def repository_files() -> set[str]:
    """Every file that a user of the package needs, under its import path."""
    found = set()
    for package, folder in HOMES.items():
        for file in folder.rglob("*"):
            inside = file.relative_to(folder)
            if "__pycache__" in inside.parts or not file.is_file() or file.suffix not in SHIPPED:
                continue
            if package == "gdtriton" and inside.parts[0] in ("verify", "models"):
                continue  # symlinks to the real folders, listed by themselves
            found.add(f"{package}/{inside.as_posix()}")
    return found


def fresh(code: str) -> str:
    """Output of a fresh interpreter that runs from outside the repository's tests."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_holds_every_file(tmp_path: Path) -> None:
    # From a copy: setuptools would pack stale files of an earlier build/ in place.
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".data")
    copy = shutil.copytree(ROOT, tmp_path / "copy", symlinks=True, ignore=ignore)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("gdtriton/")}
    assert packed == repository_files()


def test_links_resolve() -> None:
    for name in ("verify", "models"):
        link = ROOT / "gdtriton" / name
        assert link.resolve() == ROOT / name, f"{link} must lead to {name}/"


def test_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert fresh("import gdtriton; print(gdtriton.__version__)").strip() == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_triton_is_never_pinned() -> None:
    """The published torch for Linux names its own triton: a pin would make that install fail."""
    pins = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"(?mi)^triton\b", pins)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("demo", "verify", "dev"):
        assert [r for r in extras[name] if "triton" in r] == ['triton; platform_system == "Linux"']


@pytest.mark.parametrize("module", ["gdtriton", "gdtriton.verify", "gdtriton.models", "gdtriton.cli"])
def test_import_is_light(module: str) -> None:
    loaded = fresh(f"import {module}, sys; print(*sys.modules)").split()
    assert not {"torch", "triton", "sympy", "numpy", "hypothesis", "matplotlib"} & set(loaded)


def test_public_names_load() -> None:
    assert fresh("import gdtriton; print(all(callable(getattr(gdtriton, n)) for n in gdtriton.__all__))") == "True\n"


def test_works_without_triton() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch, gdtriton\n"
        "print(gdtriton.GaussianJetConv2d(1, 2)(torch.ones(1, 1, 5, 5)).shape[1])"
    )
    assert fresh(code) == "2\n"


def test_no_place_of_a_machine_is_named() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home|tmp/wt)/")
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        if file == Path(__file__) or file.suffix in (".png", ".npz") or not file.is_file():
            continue
        assert not pattern.search(file.read_text(errors="ignore")), name
