"""Experiments: what each variant's requests came to."""

from __future__ import annotations

from typing import Any

from mmrouter.tracker.analytics import By, stats
from mmrouter.tracker.store import Filter, Store


def variants(store: Store, filter: Filter) -> dict[str, Any]:
    """Totals by "experiment/variant", of the requests that took part in one."""
    groups = stats(store, filter, by=By.VARIANT).groups
    return {
        "variants": [
            {
                "name": name,
                "requests": total.requests,
                "cost_nanos": total.cost_nanos,
                "failed": total.failed,
                "latency_ms": total.latency_ms,
            }
            for name, total in sorted(groups.items(), key=lambda group: group[0] or "")
            if name is not None
        ]
    }
