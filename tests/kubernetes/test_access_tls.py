"""TLS and proxies on the way to a server, for requests and for execs alike."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from tests.kubernetes import tls
from tests.kubernetes.fake import FakeApi
from tests.kubernetes.logins import kubeconfig, refusal, works
from tests.kubernetes.transport import told

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def fake(fake_with_tools: FakeApi) -> FakeApi:
    return fake_with_tools


def test_tls_with_the_clusters_own_authority(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url:
        user = {"token": fake.token}
        embedded = {"certificate-authority-data": tls.data(files.ca)}
        works(kubeconfig(tmp_path, user=user, server=url, **embedded), tmp_path)
        named = {"certificate-authority": str(files.ca)}
        works(kubeconfig(tmp_path, user=user, server=url, **named), tmp_path)


def test_a_certificate_of_another_authority_is_refused(fake: FakeApi, tmp_path: Path) -> None:
    files, other = tls.authority(tmp_path / "pki"), tls.authority(tmp_path / "other")
    with tls.https(fake.url, files) as url:
        cluster = {"server": url, "certificate-authority-data": tls.data(other.ca)}
        path = kubeconfig(tmp_path, user={"token": fake.token}, **cluster)
        problem = refusal(path, tmp_path)
    assert "certificates are not what either side expects" in problem.what
    assert "CERTIFICATE_VERIFY_FAILED" in problem.what
    assert fake.requests == []


def test_a_certificate_of_another_host_is_refused_unless_its_name_is_given(
    fake: FakeApi, tmp_path: Path
) -> None:
    files = tls.authority(tmp_path / "pki", names=("kubernetes",), address="")
    with tls.https(fake.url, files) as url:
        cluster = {"server": url, "certificate-authority-data": tls.data(files.ca)}
        problem = refusal(kubeconfig(tmp_path, user={"token": fake.token}, **cluster), tmp_path)
        assert "certificate" in problem.what
        named = cluster | {"tls-server-name": "kubernetes"}
        works(kubeconfig(tmp_path, user={"token": fake.token}, **named), tmp_path)


def test_verification_that_was_switched_off_is_not_warned_of(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url, warnings.catch_warnings():
        warnings.simplefilter("error")
        cluster = {"server": url, "insecure-skip-tls-verify": True}
        works(kubeconfig(tmp_path, user={"token": fake.token}, **cluster), tmp_path)


def test_client_certificates(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files, client_certificates=True) as url:
        cluster = {"server": url, "certificate-authority-data": tls.data(files.ca)}
        user = {
            "token": fake.token,  # the fake is behind the TLS, and knows tokens
            "client-certificate-data": tls.data(files.client),
            "client-key-data": tls.data(files.client_key),
        }
        works(kubeconfig(tmp_path, user=user, **cluster), tmp_path)
        without = kubeconfig(tmp_path, user={"token": fake.token}, **cluster)
        asked = len(fake.requests)
        # In TLS 1.3 the server refuses after the handshake, and its last words may get lost.
        assert re.search("certificate|TLS failed|connection broke", refusal(without, tmp_path).what)
        assert len(fake.requests) == asked


def test_a_proxy_is_used_for_requests_and_execs(fake: FakeApi, tmp_path: Path) -> None:
    files = tls.authority(tmp_path / "pki")
    with tls.https(fake.url, files) as url, tls.proxy(authorization="Basic bWU6c2VjcmV0") as (proxy, asked):
        cluster = {"server": url, "certificate-authority-data": tls.data(files.ca)}
        cluster |= {"proxy-url": proxy.replace("http://", "http://me:secret@")}
        works(kubeconfig(tmp_path, user={"token": fake.token}, **cluster), tmp_path)
        target = url.removeprefix("https://")
        assert [line.rpartition(" ")[0] for line in asked] == [f"CONNECT {target}"] * 2


def test_a_proxy_that_refuses_is_told_without_its_password(fake: FakeApi, tmp_path: Path) -> None:
    with tls.proxy(authorization="Basic other") as (proxy, _):
        cluster = {"server": "https://127.0.0.1:1", "proxy-url": proxy.replace("//", "//me:hush@")}
        path = kubeconfig(tmp_path, user={"token": fake.token}, **cluster)
        problem = refusal(path, tmp_path)
    assert "proxy" in problem.what
    assert "hush" not in told(problem)


def test_the_environments_proxy_spares_what_no_proxy_names(
    fake: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    works(fake.kubeconfig(tmp_path / "kubeconfig"), tmp_path)
