"""Why a pod is not ready, as kubectl would show it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.kubernetes.pod_failure import is_hopeless, is_ready, why_not_ready

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["status", "metadata", "conditions", "type", "reason", "message", "containerStatuses", "state", "waiting",
         "terminated", "phase", "lastTimestamp", "deletionTimestamp", "exitCode"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def pod(phase="Pending", *, conditions=(), waiting=None, terminated=None, ip=None, **status):
    state = {"waiting": waiting} if waiting else {"terminated": terminated} if terminated else {"running": {}}
    return {
        "metadata": {"name": "bgp-client"},
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": [{"name": "tools", "state": state}],
            **({"podIP": ip} if ip else {}),
            **status,
        },
    }


def warning(reason: str, message: str, at: str = "2026-01-01T00:00:00Z"):
    return {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": at}


READY = {"type": "Ready", "status": "True"}


def test_ready_means_ready_with_an_address_and_not_on_its_way_out():
    assert is_ready(pod("Running", conditions=[READY], ip="198.18.0.1"))
    assert not is_ready(pod("Running", conditions=[READY]))
    assert not is_ready(pod("Running", ip="198.18.0.1"))
    leaving = pod("Running", conditions=[READY], ip="198.18.0.1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not is_ready(leaving)


@pytest.mark.parametrize(
    ("broken", "events", "expected"),
    [
        pytest.param(
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                             "message": "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: db}"}]),
            [],
            ["Unschedulable", "untolerated taint {dedicated: db}"],
            id="taint",
        ),
        pytest.param(
            pod(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "registry.example.com/x:1"'}),
            [warning("Failed", "unauthorized: authentication required")],
            ["ImagePullBackOff", "registry.example.com/x:1", "unauthorized"],
            id="image",
        ),
        pytest.param(
            pod(waiting={"reason": "ContainerCreating"}),
            [warning("FailedCreatePodSandBox", "the given pool (198.19.0.0/24) does not exist, or is not enabled")],
            ["FailedCreatePodSandBox", "the given pool (198.19.0.0/24)"],
            id="pool",
        ),
        pytest.param(
            pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
            [],
            ["Evicted", "low on resource: memory"],
            id="evicted",
        ),
        pytest.param(
            pod(terminated={"reason": "Error", "exitCode": 1, "message": "sleep: not found"}),
            [],
            ["Error with status 1", "sleep: not found"],
            id="ended",
        ),
    ],
)  # fmt: skip
def test_the_reason_is_told(broken, events, expected):
    told = why_not_ready(broken, events)
    for words in expected:
        assert words in told


def test_the_latest_warnings_count_and_none_is_told_twice():
    events = [warning("Old", "long ago", "2026-01-01T00:00:00Z")]
    events += [warning("New", f"number {n}", f"2026-01-01T00:0{n}:00Z") for n in (3, 1, 2)]
    events += [warning("New", "number 3", "2026-01-01T00:03:30Z")]
    told = why_not_ready(pod(), events)
    assert "long ago" not in told
    assert told.count("number 3") == 1


def test_some_reasons_are_hopeless_and_others_not():
    assert is_hopeless(pod("Failed"))
    assert is_hopeless(pod(waiting={"reason": "InvalidImageName"}))
    assert not is_hopeless(pod(waiting={"reason": "ImagePullBackOff"}))
    assert not is_hopeless(pod())


def test_a_message_cannot_break_the_line_or_colour_the_terminal():
    told = why_not_ready(
        pod(waiting={"reason": "CrashLoopBackOff", "message": "a\nb\x1b[31mc" + "x" * 1000}), []
    )
    assert "\n" not in told
    assert "\x1b" not in told
    assert len(told) < 400


@given(JSON, st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=3), max_size=3))
def test_any_object_gives_words(thing, events):
    broken = thing if isinstance(thing, dict) else {"status": thing}
    assert isinstance(why_not_ready(broken, events), str)
    is_ready(broken)
    is_hopeless(broken)
