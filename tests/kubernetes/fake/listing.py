"""Lists, page by page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from tests.kubernetes.fake.refusal import Refused
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.targets import Target


def page(store: Store, target: Target, query: Mapping[str, str]) -> dict[str, Any]:
    """A list, or the page of it that `limit` and `continue` ask for.

    Raises:
        Refused: 400 for a selector or token that cannot be read, 410 for a token from before the compaction.
    """
    kind = target.kind
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    with store.lock:
        items = store.list(
            (kind.group, kind.version, kind.plural), namespace=target.namespace, labels=labels, fields=fields
        )
        version = store.version
        if token := query.get("continue", ""):
            version, after = _read(token)
            store.journal.since(int(version))
            items = [item for item in items if _key(item) > after]
    # Lists of custom resources always have a token, empty at the end; built-in ones leave it out.
    metadata: dict[str, Any] = {"resourceVersion": version} | ({} if kind.builtin else {"continue": ""})
    limit = int(query.get("limit") or 0)
    if 0 < limit < len(items):
        metadata["continue"] = _token(version, _key(items[limit - 1]))
        if not labels and not fields:
            metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    if kind.builtin:
        # As the real server: items of built-in lists do not say again what they are.
        items = [
            {key: value for key, value in item.items() if key not in {"kind", "apiVersion"}} for item in items
        ]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return (item["metadata"].get("namespace", ""), item["metadata"]["name"])


def _token(version: str, after: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *after]).encode()).decode()


def _read(token: str) -> tuple[str, tuple[str, str]]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise Refused(400, "invalid continue token: continue key is not valid: illegal base64 data") from None
    return version, (namespace, name)
