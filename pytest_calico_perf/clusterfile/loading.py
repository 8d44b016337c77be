"""Finding and reading cluster files; what pydantic finds wrong becomes one line for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import ClassVar, Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pytest_calico_perf.clusterfile.fields import ClusterFile
from pytest_calico_perf.clusterfile.kubernetes import KubernetesFile
from pytest_calico_perf.clusterfile.lab import LabFile
from pytest_calico_perf.clusterfile.local_file import FOLDER
from pytest_calico_perf.clusterfile.located_yaml import FieldPath, LocatedYaml, read
from pytest_calico_perf.errors import ClusterFileProblem, did_you_mean

_LARGEST_FILE = 1 << 20
_FIELDS = "should hold `field: value` lines"
_PLAIN = {  # what pydantic says in Python's words
    "model_type": _FIELDS,
    "mapping_type": _FIELDS,
    "dict_type": _FIELDS,
    "tuple_type": "should be a list",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be a word",
    "bool_type": "should be true or false",
}


class ClusterFiles:
    """The folders in which a cluster's bare name is looked up."""

    KINDS: ClassVar[Mapping[str, type[ClusterFile]]] = {"lab": LabFile, "kubernetes": KubernetesFile}

    def __init__(self, *folders: FilePath) -> None:
        self._folders = folders

    @classmethod
    def usual(cls) -> Self:
        """`clusters` under the current folder, then those of the package, then those of its checkout."""
        package = FilePath(__file__).parent.parent
        return cls(FilePath("clusters"), package / "clusters", package.parent / "clusters")

    def names(self) -> tuple[str, ...]:
        """Every bare name there is a file for."""
        return tuple(sorted({file.stem for folder in self._folders for file in folder.glob("*.yaml")}))

    def find(self, name_or_path: str) -> FilePath:
        """The file of a name, or the path itself.

        Raises:
            ClusterFileProblem: No file bears that name.
        """
        path = FilePath(name_or_path)
        if name_or_path != path.name or path.suffix in (".yaml", ".yml") or "\0" in name_or_path:
            return path
        for folder in self._folders:
            if (file := folder / f"{name_or_path}.yaml").is_file():
                return file
        known = self.names()
        raise ClusterFileProblem(
            f"no cluster has this name{did_you_mean(name_or_path, known)}",
            where=name_or_path,
            remedy=f"known: {', '.join(known)}; or give the path of a file",
        )


def load(name_or_path: str) -> ClusterFile:
    """Read and check a cluster file.

    Args:
        name_or_path: A bare name, looked up in `ClusterFiles.usual()`, or the path of a file.

    Raises:
        ClusterFileProblem: It cannot be found or read, or a field is wrong.
    """
    path = ClusterFiles.usual().find(name_or_path)
    source = str(path) if name_or_path else "the cluster's name"
    return parse(_text(path, source, "give a cluster's name or the path of its file"), source)


def load_fields(path: str) -> LocatedYaml:
    """Read a file of fields that belong to a cluster file, but are kept apart from it.

    Raises:
        ClusterFileProblem: It cannot be found or read, or is not YAML.
    """
    text = _text(FilePath(path), path or "the file's name", "give the path of a file")
    return read(text, path)


def _text(path: FilePath, source: str, remedy: str) -> str:
    try:
        if not path.is_file():
            what = "this is not a file" if path.exists() else "there is no such file"
            raise ClusterFileProblem(what, where=source, remedy=remedy)
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ClusterFileProblem(f"cannot be read: {reason}", where=source) from None
    if len(raw) > _LARGEST_FILE:
        raise ClusterFileProblem(f"is larger than {_LARGEST_FILE} bytes", where=source)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ClusterFileProblem(f"is not UTF-8 text (byte {error.start})", where=source) from None


def parse(text: str, source: str) -> ClusterFile:
    """Check the text of a cluster file; `source` names it in messages.

    Raises:
        ClusterFileProblem: It is not YAML, or a field is wrong.
    """
    document = read(text, source)
    if not isinstance(document.data, dict):
        raise document.problem((), "a cluster file is a list of `field: value` lines")
    kind = document.data.get("kind")
    known = ClusterFiles.KINDS
    if not isinstance(kind, str) or kind not in known:
        if "kind" not in document.data:
            raise document.problem(("kind",), "field is missing", remedy=f"known: {', '.join(known)}")
        hint = did_you_mean(str(kind), known)
        raise document.problem(("kind",), f"unknown kind {kind!r}{hint}", remedy=f"known: {', '.join(known)}")
    try:
        cluster = known[kind].model_validate(document.data, context={FOLDER: FilePath(source).parent})
    except ValidationError as error:
        problems = [_explain(detail, document) for detail in error.errors(include_url=False)]
        # What is wrong inside a list also makes pydantic call the list too short: the inner one is the cause.
        fields = [field for field, _ in problems]
        causes = [
            (field, message)
            for field, message in problems
            if not any(other != field and other[: len(field)] == field for other in fields)
        ]
        # The first of them in the file's order: a person mends a file from top to bottom.
        field, message = min(causes, key=lambda problem: document.line(problem[0]))
        raise document.problem(field, message) from None
    cluster._document = document  # noqa: SLF001 - a model cannot be given its lines while it validates
    return cluster


def _explain(detail: ErrorDetails, document: LocatedYaml) -> tuple[FieldPath, str]:
    """What pydantic found, as the field in the file and a sentence."""
    field: FieldPath = tuple(part for part in detail["loc"] if part != "[key]")
    context = detail.get("ctx", {})
    if detail["type"] == "misfit":
        message = str(context["message"])
        if context["other"]:
            message = message.replace("{line}", str(document.line((*field, *context["other"]))))
        return (*field, *context["field"]), message
    got = _quoted(detail["input"])
    if detail["type"] == "missing":
        return field, "field is missing"
    if detail["type"] == "enum":
        known = re.findall(r"'([^']+)'", str(context["expected"]))
        return (
            field,
            f"{got} is unknown{did_you_mean(str(detail['input']), known)} (known: {', '.join(known)})",
        )
    if detail["type"] == "string_pattern_mismatch":
        return field, f"should be small letters, digits and single dashes, beginning with a letter, not {got}"
    if detail["type"] in _PLAIN:
        return field, f"{_PLAIN[detail['type']]}, not {got}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return (
        field,
        f"{message}, not {got}" if "should" in message or "must" in message else f"{message} ({got})",
    )


def _quoted(value: object) -> str:
    """What was found, as Python writes it, in at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python cares to write (sys.set_int_max_str_digits)
        return "a number this long"
    return text if len(text) <= 60 else f"{text[:57]}..."
