"""The ASGI application: all that a request goes through stands in `_serve`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping

from mmrouter.config.schema import Config, ServerConfig
from mmrouter.dashboard.static import is_page
from mmrouter.errors import MMRouterError
from mmrouter.router.ids import new_request_id
from mmrouter.router.parts import Parts
from mmrouter.server.auth import KEY_ENV, Keys
from mmrouter.server.chat import chat
from mmrouter.server.dashboard import Dashboard, owns
from mmrouter.server.embeddings import embeddings
from mmrouter.server.failures import InternalError, fail
from mmrouter.server.feedback import feedback
from mmrouter.server.headers import safe
from mmrouter.server.health import health, ready, root
from mmrouter.server.http import ClientGoneError, Exchange, Receive, Scope, Send
from mmrouter.server.limits import RateLimits
from mmrouter.server.messages import count_tokens, messages
from mmrouter.server.models import PREFIX, model, models
from mmrouter.server.openapi import openapi
from mmrouter.server.origin import Origins
from mmrouter.server.refusals import MethodNotAllowedError, NotFoundError
from mmrouter.server.responses import responses
from mmrouter.server.summing import Summing

logger = logging.getLogger("mmrouter.access")
faults = logging.getLogger(__name__)

Handler = Callable[[Exchange, Parts], Awaitable[None]]

ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/v1/chat/completions": {"POST": chat},
    "/v1/messages": {"POST": messages},
    "/v1/messages/count_tokens": {"POST": count_tokens},
    "/v1/responses": {"POST": responses},
    "/v1/embeddings": {"POST": embeddings},
    "/v1/models": {"GET": models},
    "/v1/feedback": {"POST": feedback},
    "/health": {"GET": health},
    "/ready": {"GET": ready},
    "/openapi.json": {"GET": openapi},
    "/": {"GET": root},
}
"""Path -> method -> handler. `/v1/models/NAME` comes on top."""

_OPEN = frozenset({"/health", "/ready"})
"""Paths that need no key: those that ask are load balancers."""

_GONE = 499
"""What the log calls a request whose client left before there was an answer (nginx's number)."""


class App:
    """The server, for any ASGI host.

    Args:
        build: makes the router's parts when the server starts.
        serving: False serves the dashboard alone, and no request that costs money.
        load: reads the config anew, for SIGHUP; None keeps the first one for ever.
        reloaded: learns of each reload why it failed, or None.
    """

    def __init__(
        self,
        build: Callable[[], Parts],
        *,
        serving: bool = True,
        load: Callable[[], Config] | None = None,
        reloaded: Callable[[str | None], None] = lambda error: None,
    ) -> None:
        self._build = build
        self._serving = serving
        self._load = load
        self._reloaded = reloaded
        self._reloading: asyncio.Task[None] | None = None
        self._dashboard: Dashboard | None = None
        self._parts: Parts | None = None
        self._keys = Keys({}, "")
        self._origins = Origins(())
        self._limits = RateLimits(time.monotonic)
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(Exchange(scope, receive, send, new_request_id()))
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, exchange: Exchange) -> None:
        """Every request, from its head to its last byte."""
        if self._keys.required:
            if exchange.path not in _OPEN and not is_page(exchange.path):
                exchange.client = self._keys.client(exchange.headers)
                if not owns(exchange.path):
                    self._limits.admit(exchange.client)
        else:
            self._origins.check(exchange.headers)
            exchange.client = self._keys.client(exchange.headers)
        # an ASGI host starts the lifespan first
        assert self._parts is not None and self._dashboard is not None  # noqa: S101, PT018
        if owns(exchange.path) or not (self._serving or exchange.path in _OPEN):
            await self._dashboard(exchange)
        else:
            await _handler(exchange)(exchange, self._parts)

    async def _http(self, exchange: Exchange) -> None:
        """Serves, turns what is raised into an answer, and logs one line."""
        began = time.perf_counter()
        self._running += 1
        try:
            await self._serve(exchange)
        except MMRouterError as error:
            await fail(exchange, error)
        except ClientGoneError:
            exchange.status = exchange.status or _GONE
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            faults.exception("%s failed", exchange.id)
            await fail(exchange, InternalError())
        finally:
            self._running -= 1
            if logger.isEnabledFor(logging.INFO):
                _log(exchange, (time.perf_counter() - began) * 1000)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._parts = parts = self._build()
        except MMRouterError as error:
            await send({"type": "lifespan.startup.failed", "message": f"Error: {error}"})
            return
        try:
            if self._serving:
                parts.alerts.start()
        except MMRouterError as error:
            await parts.aclose()
            await send({"type": "lifespan.startup.failed", "message": f"Error: {error}"})
            return
        self._dashboard = Dashboard(parts, serving=self._serving)
        summing = Summing(parts.store)
        self._open_doors(parts.config.server)
        if self._load is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hup)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        while self._running:  # noqa: ASYNC110 - what was cancelled is still writing its rows
            await asyncio.sleep(0.01)
        await summing.aclose()
        await parts.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    def _open_doors(self, config: ServerConfig) -> None:
        """Who may come in, by this config."""
        self._keys = Keys(config.keys, os.environ.get(KEY_ENV, ""))
        self._origins = Origins(config.allowed_hosts)

    def _hup(self) -> None:
        before = self._reloading
        self._reloading = asyncio.create_task(self._reload(before))

    async def _reload(self, before: asyncio.Task[None] | None) -> None:
        """Puts the config into force that is on disk now; a faulty one changes nothing."""
        if before is not None:
            await before
        # both are there: the lifespan has started
        assert self._parts is not None and self._load is not None  # noqa: S101, PT018
        error: str | None = None
        try:
            config = await asyncio.to_thread(self._load)
            await self._parts.reload(config)
            self._open_doors(config.server)
            faults.warning("the config was reloaded")
        except MMRouterError as wrong:
            error = str(wrong)
            faults.error("the config stays what it was: %s", error)
        except Exception:  # noqa: BLE001 - the server goes on, and says so
            error = "a fault of our own; see the server's log"
            faults.exception("the config stays what it was")
        await asyncio.to_thread(self._reloaded, error)


def _handler(exchange: Exchange) -> Handler:
    methods = ROUTES.get(exchange.path)
    if methods is None:
        if not exchange.path.startswith(PREFIX):
            raise NotFoundError("No such path; GET /openapi.json lists them")
        methods = {"GET": model}
    handler = methods.get("GET" if exchange.method == "HEAD" else exchange.method)
    if handler is None:
        allowed = ", ".join(methods)
        raise MethodNotAllowedError(f"This path takes {allowed}", allowed=allowed)
    return handler


def _log(exchange: Exchange, took_ms: float) -> None:
    """One line: no prompt, no key, and nothing that a client could forge a second line with."""
    logger.info(
        "%s %s %s %.1fms %s key=%s model=%s",
        exchange.method,
        safe(exchange.path).decode(),
        exchange.status,
        took_ms,
        exchange.id,
        exchange.client.name or "-",
        safe(exchange.model or "-").decode(),
    )
