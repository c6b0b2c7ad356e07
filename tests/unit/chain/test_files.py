"""Files that are there whole or not at all; a record that can be kept before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backstop.chain.files import write_whole
from backstop.chain.record import FOLDER_VARIABLE, DeploymentError, check_writable


def test_what_was_there_stays_where_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_whole(path, "one\n")
    write_whole(path, "två\n")
    assert path.read_bytes() == "två\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "three\n")
    assert path.read_text() == "två\n"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"], "nothing is left lying about"


def test_nothing_is_deployed_where_the_record_cannot_be_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "new"))
    check_writable(1)
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(DeploymentError, match="nothing was deployed: make room, or name another"):
        check_writable(1)
