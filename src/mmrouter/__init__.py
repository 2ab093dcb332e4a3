"""mmrouter: each LLM request goes to the cheapest model that will do it well.

>>> from mmrouter import Router
>>> with Router() as router:                                        # doctest: +SKIP
...     print(router.route("What is the capital of France?").content)

The names below are loaded when first used, so that `import mmrouter` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmrouter.config import Config, load_config
    from mmrouter.errors import MMRouterError
    from mmrouter.library.async_router import AsyncRouter
    from mmrouter.library.result import RouteResult
    from mmrouter.library.router import Router
    from mmrouter.types import Classification

_WHERE = {
    "AsyncRouter": "mmrouter.library.async_router",
    "Classification": "mmrouter.types",
    "Config": "mmrouter.config",
    "MMRouterError": "mmrouter.errors",
    "RouteResult": "mmrouter.library.result",
    "Router": "mmrouter.library.router",
    "load_config": "mmrouter.config",
}

__all__ = [
    "AsyncRouter",
    "Classification",
    "Config",
    "MMRouterError",
    "RouteResult",
    "Router",
    "load_config",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'mmrouter' has no attribute '{name}'")
    return getattr(importlib.import_module(_WHERE[name]), name)
