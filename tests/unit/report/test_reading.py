"""A record read back: what was written, or a sentence that names file and key."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.gate.earlier import read_run
from pytest_calico_perf.model import Outcome
from pytest_calico_perf.report.reading import read_record
from pytest_calico_perf.report.records import SCHEMA, document, write
from tests.unit.report import made, samples
from tests.unit.report.test_terminal import with_failures

RAN = {"endpoint": "node1", "argv": ["ip"], "exit_code": 0, "seconds": 0.1, "output": ""}
NEW_IN_2 = ("diagnosis", "remarks", "wrong_samples", "commands", "past")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.json"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=made.records())
def test_what_is_written_is_read_back(file, record):
    written = document(record)
    write(written, file)
    assert document(read_record(file)) == written


def test_a_usual_run_is_read_back_word_for_word(file):
    record = with_failures()
    write(document(record), file)
    found = read_record(file)
    assert [result.cell for result in found.results] == [result.cell for result in record.results]
    assert [result.by_round for result in found.results] == [result.by_round for result in record.results]
    assert (found.modes, found.cluster, found.started) == (record.modes, record.cluster, record.started)


def older(record):
    """As a version before the diagnosis wrote it."""
    written = document(record)
    written["schema"] = 1
    for key in ("command", "software"):
        del written[key]
    for cell in written["cells"]:
        for key in NEW_IN_2:
            del cell[key]
    return written


def test_a_record_of_schema_1_is_read_by_the_report_and_as_a_baseline(file):
    record = samples.record(
        cluster={"name": "lab", "kind": "lab", "nodes": [{"name": "node1"}, {"name": "node2"}]}
    )
    write(older(record), file)
    assert document(read_record(file)) == document(record)
    assert len(read_run(file).cells) == len(record.results)
    write(document(record), file)
    assert len(read_run(file).cells) == len(record.results)


def test_figures_of_a_wrong_path_are_in_no_baseline(file):
    record = with_failures()
    (off,) = (result for result in record.results if result.outcome is Outcome.WRONG_PATH)
    write(document(record), file)
    assert read_run(file).cells[off.cell].samples == {}
    assert read_record(file).results[list(record.results).index(off)].wrong_samples == off.wrong_samples


def change_cell(**fields):
    return lambda written: written["cells"][1].update(fields)


def drop(*path):
    def change(written):
        for key in path[:-1]:
            written = written[key]
        del written[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(drop("schema"), ": schema: it is no record of ours: the key is missing", id="no-schema"),
        pytest.param(
            lambda written: written.update(schema=SCHEMA + 1),
            f"it is of schema {SCHEMA + 1}, and this",
            id="newer",
        ),
        pytest.param(
            lambda written: written.update(schema="\x1b[1m"), "is no schema of ours", id="hostile-schema"
        ),
        pytest.param(drop("cells"), ": cells: ", id="no-cells"),
        pytest.param(drop("cluster", "name"), ": cluster.name: ", id="nameless-cluster"),
        pytest.param(lambda written: written.update(modes=["bpg"]), ": modes[0]: ", id="unknown-mode"),
        pytest.param(drop("cells", 1, "outcome"), ": cells[1].outcome: ", id="no-outcome"),
        pytest.param(change_cell(samples=[0.0] * 10), ": cells[1].samples[0]: ", id="zero"),
        pytest.param(change_cell(samples=[1e9]), ": cells[1]: .*one round number for each", id="unequal"),
        pytest.param(change_cell(mode=None), ": cells[1]: .*host-to-pod needs a mode", id="no-mode"),
        pytest.param(change_cell(samples=[5e-324] * 10), ": cells[1].samples[0]: ", id="tiny"),
        pytest.param(change_cell(samples=[1.7e308] * 10), ": cells[1].samples[0]: ", id="huge"),
        pytest.param(
            change_cell(diagnosis={"commands": 5}), ": cells[1].diagnosis.commands: ", id="commands-5"
        ),
        pytest.param(
            change_cell(diagnosis={"commands": None}), ": cells[1].diagnosis.commands: ", id="commands-null"
        ),
        *(
            pytest.param(
                change_cell(diagnosis={"commands": [{**RAN, "seconds": seconds}]}),
                ": cells[1].diagnosis.commands[0].seconds: ",
                id=f"seconds-{name}",
            )
            for name, seconds in {
                "nan": math.nan,
                "infinite": math.inf,
                "negative": -1.0,
                "bignum": 10**400,
            }.items()
        ),
        pytest.param(
            change_cell(runs=[{"intervals": [10**400]}]),
            ": cells[1].runs[0].intervals[0]: .*not finite, or too large",
            id="bignum",
        ),
        pytest.param(
            change_cell(details={"x": [math.nan]}), ": cells[1].details.x[0]: .*not finite", id="nan"
        ),
        pytest.param(change_cell(control={"x": 1.0}), ": cells[1].control", id="round-x"),
        pytest.param(
            change_cell(commands=[{"endpoint": "node1"}]),
            ": cells[1].commands[0].argv: ",
            id="half-a-command",
        ),
        pytest.param(
            lambda written: written["cells"].append(written["cells"][0]),
            "two results of ping host-to-host",
            id="twice",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_key(file, change, message):
    written = document(samples.record())
    change(written)
    file.write_text(json.dumps(written))
    with pytest.raises(UsageProblem) as problem:
        read_record(file)
    said = str(problem.value)
    place, _, rest = message.partition(".*")
    assert place in said
    assert rest in said
    assert said.startswith(f"record {file}")
    assert said.isprintable()
    assert problem.value.remedy


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"machine_info": {}, "benchmarks": []}', id="pytest-benchmark"),
    ],
)
def test_what_is_not_ours_is_refused_in_a_line(file, content):
    file.write_bytes(content)
    with pytest.raises(UsageProblem) as problem:
        read_record(file)
    assert len(str(problem.value).splitlines()) == 1


def test_a_file_that_is_not_there_and_a_folder_are_refused(file):
    with pytest.raises(UsageProblem, match="cannot be read"):
        read_record(file)
    with pytest.raises(UsageProblem, match=r"not a file; name a file that --calico-json wrote$"):
        read_record(file.parent)
