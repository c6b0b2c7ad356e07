"""What the keeper has sent, on disk before it is sent.

One line of JSON a record, appended and flushed to the disk (`fsync`) before the transaction leaves.
A line holds the signed transaction itself, so that after a crash the same bytes can be sent again:
a transaction of the same nonce can be mined once only, whatever happened in between.

A disk that is full, or gone, must not stop liquidations. Then the records are kept in memory, the
keeper says so (`problem`, and a metric), and every later write tries to bring all of them to disk.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_KEPT: Final = 4000
"""Records from which on the file is written anew with what is still needed."""

_NO_FOLDER: Final = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
"""The name or the rights are wrong; a disk that is full or failing says something else."""

Record = dict[str, Any]


class JournalError(RuntimeError):
    """The journal cannot be used at all; the message names the remedy."""


class Journal:
    """The journal of one sending address on one chain.

    Args:
        folder: where; made if it is missing.
        name: of the file, without ending.

    Raises:
        JournalError: another process uses it, or it is no journal.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.jsonl"
        self.problem: str | None = None
        self.records: list[Record] = []
        self._unwritten: list[Record] = []
        self._file: int | None = None
        self._lock: int | None = None
        self._written = 0
        self._needed = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.records = self._read()
            self._open()
        except BlockingIOError:
            raise JournalError(
                f"another keeper uses {self.path}: two keepers with one account would fight over"
                " its nonces. Stop the other one, or use another account"
            ) from None
        except OSError as error:
            if error.errno in _NO_FOLDER:
                raise JournalError(
                    f"{folder} cannot hold the journal ({error.strerror}): name a folder that this"
                    " user may write to in account.state, or by --state"
                ) from None
            self._failed(error)
        self._written = len(self.records)

    def close(self) -> None:
        """Let go of the file and its lock."""
        for handle in (self._file, self._lock):
            if handle is not None:
                os.close(handle)
        self._file = self._lock = None

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _read(self) -> list[Record]:
        """All records; a last line that was cut off by a crash is dropped from the file too."""
        if not self.path.exists():
            return []
        if not self.path.is_file():
            raise OSError(errno.EINVAL, "no regular file")
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        records: list[Record] = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError:
                raise JournalError(
                    f"line {number} of {self.path} is no record of a keeper: wait until the"
                    " account has no transaction waiting, then move the file away"
                ) from None
            records.append(record)
        if len(whole) != len(data):
            os.truncate(self.path, len(whole))
        return records

    # --- writing

    def write(self, record: Mapping[str, Any]) -> bool:
        """Append a record. True once it is on disk; False while the disk cannot take it."""
        self.note(record)
        return self.flush()

    def note(self, record: Mapping[str, Any]) -> None:
        """Append a record that goes to disk with the next `flush`: one `fsync` for many."""
        self.records.append(dict(record))
        self._unwritten.append(dict(record))

    def flush(self) -> bool:
        """Bring everything to disk that is not there yet."""
        if not self._unwritten:
            return self.problem is None
        lines = b"".join(json.dumps(r).encode() + b"\n" for r in self._unwritten)
        size: int | None = None
        try:
            if self._file is None:
                self._open()
            assert self._file is not None
            size = os.fstat(self._file).st_size
            self._write_all(lines)
            os.fsync(self._file)
        except OSError as error:
            self._undo(size)
            self._failed(error)
            return False
        self._written += len(self._unwritten)
        self._unwritten.clear()
        self.problem = None
        return True

    def _write_all(self, data: bytes) -> None:
        assert self._file is not None
        while data:
            data = data[os.write(self._file, data) :]

    def _undo(self, size: int | None) -> None:
        """Take half a line back, so that the next write begins on a new one."""
        if size is None or self._file is None:
            return
        try:
            os.ftruncate(self._file, size)
        except OSError:
            os.close(self._file)
            self._file = None

    def _failed(self, error: OSError) -> None:
        self.problem = f"{self.path} cannot be written ({error.strerror or error})"

    @property
    def is_long(self) -> bool:
        """Whether it is time to write the file anew."""
        return self._written >= max(_KEPT, 2 * self._needed) and not self._unwritten

    def compact(self, needed: list[Record]) -> None:
        """Write the file anew with the records that are still needed, if it has become long."""
        if not self.is_long:
            return
        self._needed = len(needed)
        fresh = self.path.with_suffix(".new")
        try:
            with open(fresh, "wb") as file:
                file.write(b"".join(json.dumps(r).encode() + b"\n" for r in needed))
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
            if self._file is not None:
                os.close(self._file)
                self._file = None
            self._open()
        except OSError as error:
            fresh.unlink(missing_ok=True)
            self._failed(error)
            return
        self.records = list(needed)
        self._written = len(needed)
