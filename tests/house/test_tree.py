"""The house: folders, the package list, and what the files in it look like."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from house.source import PARTS, ROOT, module_name, modules, text, tracked

from mailweir.services.settings import Settings

TOP = {"services", "schemas", "models", "deploy", "tests", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt"}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    """pyproject.toml."""
    found: dict[str, object] = tomllib.loads(text(Path("pyproject.toml")))
    return found


def functions() -> Iterator[tuple[str, int]]:
    """Every function of the package with its number of lines, decorators not counted."""
    for path, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, Function):
                yield f"{path}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_the_top_level_has_nothing_else() -> None:
    """Three folders of code, deploy, tests, and the files that tools look for; dot files aside."""
    assert {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")} - TOP == set()


def test_the_package_list_is_the_tree(project: dict[str, dict[str, dict[str, list[str]]]]) -> None:
    """A folder with code that is not named would not be shipped; a name without a folder would fail late."""
    listed = project["tool"]["setuptools"]["packages"]
    there = {module_name(path / "__init__.py") for path in {file.parent for file in modules()}}
    assert listed == sorted(listed)
    assert set(listed) == there
    assert {path.parent / "__init__.py" for path in modules()} <= set(modules())


def test_no_folder_has_the_name_of_a_module_beside_it() -> None:
    """Which of the two is imported would depend on the order in which a file system lists them: mypy takes either."""
    assert [path for path in modules() if (ROOT / path).with_suffix("").is_dir()] == []


def test_every_data_file_is_named_for_the_wheel(project: dict[str, dict[str, dict[str, dict[str, list[str]]]]]) -> None:
    """What stands beside the code is shipped or deliberately is not: the corpus is read from the repository only."""
    patterns = {
        Path(*package.split(".")[1:]) / pattern
        for package, names in project["tool"]["setuptools"]["package-data"].items()
        for pattern in names
    }
    shipped = {path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(str(pattern)) if path.is_file()}
    beside = {
        path for path in tracked() if path.parts[0] in PARTS and path.suffix != ".py" and not path.name.startswith(".")
    }
    assert {path for path in beside - shipped if path.parts[:2] != ("models", "corpus")} == set()
    assert all(list(ROOT.glob(str(pattern))) for pattern in patterns)


def test_files_are_at_most_300_lines() -> None:
    """A longer one is two."""
    assert {str(path): lines for path in modules() if (lines := len(text(path).splitlines())) > 300} == {}


def test_functions_are_short() -> None:
    """None above 60 lines; the middle one at most 9, nine in ten at most 30."""
    lengths = dict(functions())
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert statistics.median(lengths.values()) <= 9
    assert statistics.quantiles(lengths.values(), n=10)[8] <= 30


def exported(module: ast.Module) -> list[str] | None:
    """The names in `__all__`, if the module has one."""
    for node in module.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def rank(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order in which ruff sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("path", [path for path, module in modules().items() if exported(module) is not None], ids=str)
def test_all_is_sorted_and_true(path: Path) -> None:
    """Every name of `__all__` exists, once, in order, and none is private."""
    names = exported(modules()[path]) or []
    assert names == sorted(set(names), key=rank)
    assert [name for name in names if name.startswith("_")] == []
    if "training" not in path.parts and "export" not in path.parts:  # these need the packages of [train]
        module = importlib.import_module(module_name(path))
        assert [name for name in names if not hasattr(module, name)] == []


def test_every_package_says_what_it_is() -> None:
    """A docstring in each `__init__.py`, so that the tree can be read."""
    assert [
        str(path) for path, module in modules().items() if path.name == "__init__.py" and not ast.get_docstring(module)
    ] == []


MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/")
# In pieces, so that this file does not name them itself.
HOSTS = [".".join(pieces) for pieces in (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("repo1", "maven", "org"),
    ("repo", "maven", "apache", "org"), ("repo", "maven", "org"), ("crates", "io"), ("proxy", "golang", "org"),
    ("deb", "debian", "org"), ("huggingface", "co"),
)]  # fmt: skip
MAIL = ("models/corpus", "services/cli/samples", "tests/golden")  # mails speak of whatever they like


def test_no_file_names_a_machine_or_a_registry() -> None:
    """Paths of one developer's machine and hosts of package registries are nobody else's."""
    wrong = []
    for path in tracked():
        if not str(path).startswith(MAIL):
            content = text(path)
            wrong += [f"{path}: {found}" for found in MACHINE.findall(content)]
            wrong += [f"{path}: {host}" for host in HOSTS if host in content]
    assert wrong == []


def test_every_setting_that_is_mentioned_exists() -> None:
    """In code, messages, documentation, Makefile and deploy: MAILWEIR_SOMETHING is a setting; tests of misspelt ones aside."""
    known = {f"MAILWEIR_{name.upper()}" for name in Settings.model_fields}
    wrong = [
        f"{path}: {name}{star}"
        for path in tracked()
        if path.parts[0] != "tests"
        for name, star in re.findall(r"\b(MAILWEIR_[A-Z0-9_]*[A-Z0-9])(_[*{<…])?", text(path))
        if name not in known and not (star and any(setting.startswith(name) for setting in known))
    ]
    assert wrong == []
