"""What is published: the package says where it is from, and its README works where there is no repository beside it."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

import minigan

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/minigan/minigan/blob/main/"
PICTURES = "https://raw.githubusercontent.com/minigan/minigan/main/"
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)]+)\)")


def published_readme():
    """The README with the substitutions of pyproject.toml, as the build makes them."""
    project = pytest.importorskip("tomllib").loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "README.md").read_text()
    for rule in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text


def test_links_and_pictures_of_the_published_readme_are_addresses_of_files_that_exist():
    links = LINK.findall(published_readme())
    assert len(links) == len(LINK.findall((ROOT / "README.md").read_text())) > 10
    for picture, address in links:
        base = PICTURES if picture else REPOSITORY
        assert address.startswith(base), address
        assert (ROOT / address.removeprefix(base).partition("#")[0]).exists(), address


def test_the_installed_package_has_that_readme_and_says_who_where_and_what():
    try:
        about = metadata("minigan")
    except PackageNotFoundError:
        pytest.skip("minigan isn't installed")
    assert about["Author"] == "minigan contributors"
    assert about["License-Expression"] == "MIT"
    assert any(url.startswith("Changelog, ") for url in about.get_all("Project-URL"))
    assert f"]({PICTURES}docs/pictures/readme-digits.png)" in (about.get_payload() or about["Description"])


def test_one_version_everywhere():
    def first(pattern, name):
        return re.search(pattern, (ROOT / name).read_text(), re.MULTILINE)[1]

    assert first(r'^version = "(.+)"', "pyproject.toml") == minigan.__version__
    assert first(r"^version: (.+)", "CITATION.cff") == minigan.__version__
    assert first(r"^## (\d.+)", "CHANGELOG.md") == minigan.__version__
