"""Run records of any shape that the words allow, for hypothesis: what a campaign may leave, not only what it usually does."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_calico_perf.diagnosis.finding import Check, Diagnosis, Fault, Finding, Link, State
from pytest_calico_perf.model import (
    Better,
    Cell,
    CellResult,
    Mode,
    Outcome,
    PastValue,
    Path,
    Ran,
    RunRecord,
    Unit,
    Verdict,
)
from pytest_calico_perf.stats import summarize

UNITS = {
    "ping": (Unit.SECOND, Better.LOWER),
    "tcp": (Unit.BIT_PER_SECOND, Better.HIGHER),
    "http": (Unit.REQUEST_PER_SECOND, Better.HIGHER),
    "connect": (Unit.CONNECTION_PER_SECOND, Better.HIGHER),
    "=own": (Unit.SECOND, Better.HIGHER),
}
JUDGED = (Outcome.OK, Outcome.SLOW, Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED)

texts = st.text(max_size=30) | st.sampled_from(
    ["=1+1", "@x", "\x1b[31m", 'a"b\\c\nd', "<b>", "caf\udce9", "\u2028"]
)
reasons = texts.filter(bool)
values = st.floats(min_value=1e-9, max_value=1e13)
seconds = st.floats(min_value=0, max_value=1e6)
facts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
some_facts = st.dictionaries(texts, facts, max_size=3)
rans = st.builds(
    Ran,
    endpoint=texts,
    argv=st.lists(texts, max_size=3).map(tuple),
    exit_code=st.none() | st.integers(-15, 255),
    seconds=seconds,
    output=texts,
    times=st.integers(1, 99),
)
verdicts = st.builds(Verdict, texts, texts, st.sampled_from(JUDGED), texts)
checks = st.builds(Check, st.sampled_from(Link), texts, st.sampled_from(State), texts)
faults = st.builds(
    Fault, st.just("bgp-port-blocked"), st.sampled_from(Link), texts, texts, texts, texts, texts
)
findings = st.builds(Finding, faults, texts, st.lists(texts, max_size=2).map(tuple), texts)


@st.composite
def results(draw, cell: Cell) -> CellResult:
    unit, better = UNITS[cell.probe]
    outcome = draw(st.sampled_from(Outcome))
    wrong = outcome is Outcome.WRONG_PATH
    rounds = () if wrong else tuple(sorted(draw(st.sets(st.integers(0, 30), max_size=8))))
    samples = tuple(draw(st.lists(values, min_size=len(rounds), max_size=len(rounds))))
    diagnosis = draw(
        st.none()
        | st.builds(
            Diagnosis,
            st.just(cell.path),
            st.just(cell.mode),
            texts,
            texts,
            st.lists(findings, max_size=2).map(tuple),
            st.lists(checks, max_size=2).map(tuple),
            st.lists(st.sampled_from(Mode), max_size=2).map(tuple),
            st.lists(rans, max_size=1).map(tuple),
        )
    )
    past = draw(st.lists(st.tuples(texts, st.lists(values, min_size=1, max_size=4)), max_size=2))
    return CellResult(
        cell=cell,
        outcome=outcome,
        unit=unit,
        better=better,
        samples=samples,
        rounds=rounds,
        reason="" if outcome is Outcome.OK else draw(reasons),
        details=draw(some_facts),
        runs=tuple(draw(st.lists(some_facts, max_size=2))),
        evidence=draw(some_facts),
        control=draw(st.dictionaries(st.integers(0, 30), values, max_size=5)) if cell.mode else {},
        verdicts=tuple(draw(st.lists(verdicts, max_size=2))),
        diagnosis=diagnosis.to_json() if diagnosis else {},
        remarks=tuple(draw(st.lists(texts, max_size=2))),
        wrong_samples=tuple(draw(st.lists(values, max_size=3))) if wrong else (),
        commands=tuple(draw(st.lists(rans, max_size=2))),
        past=tuple(PastValue(label, summarize(found)) for label, found in past),
    )


@st.composite
def records(draw) -> RunRecord:
    modes = tuple(draw(st.lists(st.sampled_from(Mode), unique=True, min_size=1, max_size=3)))
    cells = draw(
        st.lists(
            st.builds(
                lambda probe, path, mode: Cell(probe, path, mode if path.has_mode else None),
                st.sampled_from(sorted(UNITS)),
                st.sampled_from(Path),
                st.sampled_from(modes),
            ),
            unique=True,
            max_size=5,
        )
    )
    return RunRecord(
        cluster={"name": draw(reasons), "notes": draw(st.lists(texts, max_size=2))},
        profile={"name": draw(texts), "rounds": draw(st.integers(1, 30))},
        modes=modes,
        results=tuple(draw(results(cell)) for cell in cells),
        started=draw(st.sampled_from(["2026-11-23T14:40:00+00:00", "yesterday", ""])),
        wall_seconds=draw(seconds),
        measuring_seconds=draw(seconds),
        interrupted=draw(st.booleans()),
        problem=draw(texts),
        command=tuple(draw(st.lists(texts, max_size=3))),
        software=draw(st.dictionaries(texts, texts, max_size=2)),
    )
