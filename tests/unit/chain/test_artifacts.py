"""Compiling anew when any source has changed, also one that is only imported."""

from __future__ import annotations

import pytest

from backstop.chain import artifacts


class Project:
    """Counts how often everything is compiled."""

    def __init__(self):
        self.compiled = 0

    def load_contracts(self, use_cache=True):
        assert not use_cache, "the cache is what must not be trusted"
        self.compiled += 1

    def get_contract(self, name):
        return name


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "ROOT", tmp_path)
    for folder in ("contracts", "interfaces", ".build"):
        (tmp_path / folder).mkdir()
    (tmp_path / "contracts" / "Module.sol").write_text("abstract contract Module {}")
    (tmp_path / "contracts" / "Shell.sol").write_text('import "./Module.sol";')
    (tmp_path / "ape-config.yaml").write_text("name: x")
    return tmp_path


def test_nothing_changed_compiles_once(sources):
    project = Project()
    for _ in range(3):
        assert artifacts.compiled_project(project)("Shell") == "Shell"
    assert project.compiled == 1


@pytest.mark.parametrize("path", ["contracts/Module.sol", "interfaces/INew.sol", "ape-config.yaml"])
def test_any_change_compiles_anew(sources, path):
    project = Project()
    artifacts.compiled_project(project)
    (sources / path).write_text("changed")
    artifacts.compiled_project(project)
    assert project.compiled == 2


def test_a_renamed_source_is_a_change(sources):
    project = Project()
    artifacts.compiled_project(project)
    (sources / "contracts" / "Module.sol").rename(sources / "contracts" / "Other.sol")
    artifacts.compiled_project(project)
    assert project.compiled == 2
