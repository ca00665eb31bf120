"""What is released: one wheel, whole, the same from every build, and working alone."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from connector import __version__
from tests.support.folders import ROOT

WHEEL = f"stripe_nrr-{__version__}-py3-none-any.whl"
SDIST = f"stripe_nrr-{__version__}.tar.gz"


def build(project: Path, into: Path, *targets: str) -> None:
    """By the backend that pip asks, without the network."""
    words = [f"--target={it}" for it in targets]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", f"--directory={into}", *words],
        cwd=project,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "wheel", "sdist")
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, as pip lays them down, far from this folder."""
    folder = tmp_path_factory.mktemp("site")
    shutil.unpack_archive(built / WHEEL, folder, "zip")
    return folder


def run(installed: Path, at: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STRIPE_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "connector", *words],
        cwd=at,
        env={**kept, "PYTHONPATH": str(installed), "HOME": str(at), "PWD": str(at)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_wheel_has_every_file_of_the_package(built: Path) -> None:
    package = ROOT / "connector"
    expected = {
        str(each.relative_to(ROOT))
        for each in package.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    names = set(zipfile.ZipFile(built / WHEEL).namelist())
    assert expected <= names
    beside = {it for it in names - expected if ".dist-info/" not in it}
    assert {it for it in beside if not it.startswith("connector/bundled_demo/")} == {
        "connector/config.example.toml"
    }
    demo = {it.name for it in (ROOT / "fixtures" / "demo").iterdir()}
    assert demo == {Path(it).name for it in beside} - {"config.example.toml"}


def test_its_metadata_is_what_an_index_shows(built: Path) -> None:
    with zipfile.ZipFile(built / WHEEL) as wheel:
        folder = f"stripe_nrr-{__version__}.dist-info"
        metadata = HeaderParser().parsestr(wheel.read(f"{folder}/METADATA").decode())
        commands = wheel.read(f"{folder}/entry_points.txt").decode()
    assert metadata["Name"] == "stripe-nrr"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "stripe-nrr = connector.cli:main" in commands


def test_two_builds_are_the_same_bytes(built: Path, tmp_path: Path) -> None:
    build(ROOT, tmp_path, "wheel", "sdist")
    for name in (WHEEL, SDIST):
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes()


def test_the_source_distribution_makes_the_same_wheel(
    built: Path, tmp_path: Path
) -> None:
    with tarfile.open(built / SDIST) as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / SDIST.removesuffix(".tar.gz"), tmp_path / "again", "wheel")
    assert (tmp_path / "again" / WHEEL).read_bytes() == (built / WHEEL).read_bytes()


def test_the_wheel_alone_shows_the_demo_and_begins_a_configuration(
    installed: Path, tmp_path: Path
) -> None:
    demo = run(installed, tmp_path, "demo", "--keep", "shown")
    assert demo.returncode == 0, demo.stderr
    begun = run(installed, tmp_path, "config", "init", "--timezone", "Europe/Berlin")
    assert begun.returncode == 0, begun.stderr
    page = run(installed, tmp_path / "shown", "report", "--format=html", "-o", "r.html")
    assert page.returncode == 0, page.stderr
    where = "import connector; print(connector.__file__)"
    asked = subprocess.run(
        [sys.executable, "-P", "-c", where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed), "PWD": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert asked.stdout.startswith(str(installed)), "not the one of this folder"
