"""Where images come from when there is a mirror."""

from __future__ import annotations

import pytest

from pytest_calico_perf.clusterfile import Images
from pytest_calico_perf.clusterfile.images import full_name

DIGEST = "sha256:30f1c0d78e0ad60901648be663a710bdadf19e4c10ac6782c235200619158284"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.28", "docker.io/library/nginx:1.28"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        ("nicolaka/netshoot:v0.14", "docker.io/nicolaka/netshoot:v0.14"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("docker.io/a/b/c:1", "docker.io/a/b/c:1"),
        ("quay.io/calico/node:v3.30", "quay.io/calico/node:v3.30"),
        ("quay.io/one", "quay.io/one"),
        ("localhost/a", "localhost/a"),
        ("registry:5000/a", "registry:5000/a"),
        ("team/a.b/c", "docker.io/team/a.b/c"),
    ],
)
def test_full_names_are_dockers(image, name):
    assert full_name(image) == name


@pytest.mark.parametrize(
    ("image", "mirrors", "fetched"),
    [
        ("nginx:1.28", {}, "nginx:1.28"),
        ("nginx:1.28", {"quay.io": "m.example"}, "nginx:1.28"),
        ("nginx:1.28", {"docker.io": "m.example/hub"}, "m.example/hub/library/nginx:1.28"),
        ("nginx:1.28", {"docker.io/library": "m.example:5000"}, "m.example:5000/nginx:1.28"),
        ("nginx:1.28", {"docker.io/library/nginx": "m.example/web"}, "m.example/web:1.28"),
        (f"nginx@{DIGEST}", {"docker.io/library/nginx": "m.example/web"}, f"m.example/web@{DIGEST}"),
        ("nginx", {"docker.io/library/nginx": "m.example/web"}, "m.example/web"),
        ("nginx", {"docker.io/lib": "m.example"}, "nginx"),
        ("quay.io/ab:1", {"quay.io/a": "m.example"}, "quay.io/ab:1"),
        ("q.io:5000/a", {"q.io": "m.example"}, "q.io:5000/a"),
        ("q.io:5000/a", {"q.io:5000": "m.example"}, "m.example/a"),
        ("a/b", {"docker.io": "m.example", "docker.io/a": "n.example/x"}, "n.example/x/b"),
        ("a/b", {"docker.io/a": "n.example/x", "docker.io": "m.example"}, "n.example/x/b"),
    ],
)
def test_mirrors(image, mirrors, fetched):
    images = Images.model_validate({"web": image, "mirrors": mirrors})
    assert images.for_role("web") == fetched
