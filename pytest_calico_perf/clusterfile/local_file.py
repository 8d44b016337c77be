"""Files on this machine that a cluster file names."""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

FOLDER = "folder"
"""Key of the validation context: the folder of the cluster file, which relative paths in it start from."""


def absolute(value: object, info: ValidationInfo) -> FilePath:
    """The absolute path a cluster file means by a text.

    Raises:
        ValueError: It is no path.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("should be the path of a file")
    context = info.context if isinstance(info.context, dict) else {}
    folder = context.get(FOLDER, FilePath())
    # pathlib's own would raise for a user that is not there, and keep the `..`.
    return FilePath(os.path.abspath(FilePath(folder, os.path.expanduser(value))))  # noqa: PTH100, PTH111


LocalFile = Annotated[FilePath, BeforeValidator(absolute)]
"""An absolute path on this machine. `~` is the user's home; a relative one starts at the cluster file."""


def unreadable(file: FilePath) -> str:
    """Why a file cannot be read, as the end of a sentence; empty if it can."""
    try:
        if not file.is_file():
            return "is not a file" if file.exists() else "is not there"
        with file.open("rb") as opened:
            opened.read(1)
    except (OSError, ValueError) as error:
        return f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    return ""
