"""Files of a run: found writable before it begins, and never lost or left half written when it ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path as FilePath

from pytest_calico_perf.errors import RecordProblem, SettingProblem


def check_all_writable(files: Mapping[str, FilePath]) -> None:
    """Find out before the run whether all of its files can be written, each by itself.

    Args:
        files: What asked for it (an option) -> the file.

    Raises:
        SettingProblem: One of them cannot, or two are the same, of which the later would replace the other.
    """
    taken: dict[FilePath, str] = {}
    for what, path in files.items():
        check_writable(path, what)
        target = path.resolve()
        if target in taken and (target.is_file() or not target.exists()):
            raise SettingProblem(
                f"{taken[target]} writes that file, too", where=f"{what} {path}", remedy="name two files"
            )
        taken.setdefault(target, what)


def check_writable(path: FilePath, what: str = "results file") -> None:
    """Find out before the run whether a file of its can be written. Nothing is made.

    Args:
        path: The file.
        what: What it is, for the message.

    Raises:
        SettingProblem: The folder does not exist or cannot be written to, or `path` is a folder.
    """
    where = f"{what} {path}"
    folder = path.resolve().parent
    if path.is_dir():
        raise SettingProblem("it is a folder", where=where, remedy="name a file in it")
    if not folder.is_dir():
        raise SettingProblem(
            f"the folder {folder} does not exist", where=where, remedy="create it, or name another file"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise SettingProblem(
            "it may not be written", where=where, remedy="change its permissions, or name another file"
        )


def save(text: str, path: FilePath, what: str = "the results") -> None:
    """Write `text` so that `path` holds either all of it or what it held before.

    It is written beside the file and renamed into its place, so that nobody ever reads a half of it (which is
    what node-exporter's textfile collector asks for). A pipe or a device is written into.

    Args:
        text: What the file is to hold.
        path: The file.
        what: What it is, for the message.

    Raises:
        RecordProblem: It could not be written there; the message says where it was saved instead, or that
            it could not be saved.
    """
    content = text.encode(errors="backslashreplace")  # half a surrogate pair, which UTF-8 cannot hold
    try:
        _write(content, path)
    except OSError as error:
        said = f"{what} could not be written: {error.strerror or error}"
        refuge = _save_elsewhere(content, path.suffix)
        if refuge is None:
            raise RecordProblem(
                f"{said}; nor could they be saved in {tempfile.gettempdir()}",
                where=str(path),
                remedy="make room on the disk and run again",
            ) from error
        raise RecordProblem(
            f"{said}; they are in {refuge} instead", where=str(path), remedy="move that file"
        ) from error


def _write(content: bytes, path: FilePath) -> None:
    target = path.resolve()  # a symbolic link stays one
    if target.exists() and not target.is_file():
        # A pipe or a device, such as /dev/stdout: putting a file in its place would destroy it.
        with target.open("wb") as stream:
            stream.write(content)
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # some file systems say only now that they are full
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _save_elsewhere(content: bytes, suffix: str) -> FilePath | None:
    try:
        descriptor, name = tempfile.mkstemp(prefix="calico-perf-", suffix=suffix or ".txt")
        refuge = FilePath(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            refuge.unlink()
            raise
    except OSError:
        return None
    return refuge
