"""Kubeconfigs, and whether requests and execs get through with them alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_calico_perf.cluster.kubernetes.access import Access
from pytest_calico_perf.cluster.kubernetes.api import Api
from pytest_calico_perf.cluster.kubernetes.resource import PODS
from pytest_calico_perf.errors import ApiProblem
from tests.kubernetes.transport import endpoint_of


def kubeconfig(folder: Path, *, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "kubeconfig"
    document = {
        "current-context": "current",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "current", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def works(path: Path, folder: Path) -> None:
    """Requests and execs get through."""
    api = Api(Access(kubeconfig=str(path)), request_seconds=5)
    try:
        assert [each["metadata"]["name"] for each in api.list(PODS)] == ["tools"]
        result = endpoint_of(api, folder).run(["echo", "hello"], limit=5)
        assert (result.exit_code, result.stdout) == (0, "hello\n")
    finally:
        api.close()


def refusal(path: Path, folder: Path) -> ApiProblem:
    """Neither gets through, for the same reason; the one of the request."""
    api = Api(Access(kubeconfig=str(path)), request_seconds=5)
    with pytest.raises(ApiProblem) as of_exec:
        endpoint_of(api, folder).run(["true"], limit=5)
    with pytest.raises(ApiProblem) as of_request:
        api.list(PODS)
    api.close()
    assert of_exec.value.status == of_request.value.status
    return of_request.value
