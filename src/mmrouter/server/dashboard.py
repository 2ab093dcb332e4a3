"""`/dashboard`: the page for everybody, its data for who has an admin key."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl

import orjson

from mmrouter.dashboard import export
from mmrouter.dashboard.api import Api
from mmrouter.dashboard.question import Question
from mmrouter.dashboard.static import file, is_page
from mmrouter.errors import InvalidRequestError
from mmrouter.router.parts import Parts
from mmrouter.server.body import read_json
from mmrouter.server.http import EVENTS, JSON, Exchange
from mmrouter.server.refusals import ForbiddenError, MethodNotAllowedError, NotFoundError

PREFIX = "/dashboard"
LIVE = "/dashboard/api/live"

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_PRIVATE = (b"cache-control", b"no-store")

_BEAT_S = 1.0
"""How often the books are looked at for a page that is open."""

_QUIET_S = 15.0
"""A stream says something at least this often, so that nobody in between takes it for dead."""

_PIECE = 256 * 1024


def owns(path: str) -> bool:
    """The path is the dashboard's."""
    return path == PREFIX or path.startswith(PREFIX + "/")


class Dashboard:
    """Serves the page and its API.

    Args:
        serving: see `Api`.
    """

    def __init__(self, parts: Parts, *, serving: bool) -> None:
        self._parts = parts
        self._api = Api(parts, serving=serving)

    async def __call__(self, exchange: Exchange) -> None:
        """Answers a request; to one that is not ours, that it is not."""
        method = "GET" if exchange.method == "HEAD" else exchange.method
        if not owns(exchange.path):
            await _elsewhere(exchange)
            return
        if is_page(exchange.path):
            if method != "GET":
                raise MethodNotAllowedError("This path takes GET", allowed="GET")
            await _page(exchange)
            return
        _admit(exchange)
        if exchange.path == LIVE:
            await self._live(exchange)
        else:
            await self._answer(exchange, method)

    async def _answer(self, exchange: Exchange, method: str) -> None:
        first, _, name = exchange.path.removeprefix(PREFIX + "/api/").partition("/")
        query = dict(parse_qsl(exchange.scope["query_string"].decode("latin-1")))
        if first == "export" and method == "GET":
            await self._export(exchange, name, Question(name, query))
            return
        handler = self._api.routes.get((method, first))
        if handler is None:
            raise NotFoundError("The dashboard has no such data")
        body = await read_json(exchange, self._parts.config.server) if method == "POST" else {}
        with exchange.watched():
            value = await handler(Question(name, query, body))
        await exchange.answer(200, orjson.dumps(value), [JSON, _PRIVATE, *_HEADERS])

    async def _live(self, exchange: Exchange) -> None:
        """An event whenever requests have ended, until the page is closed."""
        loop = asyncio.get_running_loop()
        with exchange.watched():
            await exchange.start(200, [*EVENTS, *_HEADERS])
            shown, spoke = None, loop.time()
            while True:
                pulse = await self._api.pulse()
                mark = (pulse["last"], pulse["requests"])
                if mark != shown:
                    shown, spoke = mark, loop.time()
                    await exchange.write(b"data: " + orjson.dumps(pulse) + b"\n\n")
                elif loop.time() - spoke > _QUIET_S:
                    spoke = loop.time()
                    await exchange.write(b": quiet\n\n")
                await asyncio.sleep(_BEAT_S)

    async def _export(self, exchange: Exchange, form: str, question: Question) -> None:
        media = export.MEDIA.get(form)
        if media is None:
            raise InvalidRequestError(f"Exports come as {', '.join(export.MEDIA)}")
        with tempfile.TemporaryDirectory(prefix="mmrouter-export-") as folder:
            path = Path(folder) / f"requests.{form}"
            await asyncio.to_thread(export.write, self._parts.store, question.filter, form, path)
            name = b'attachment; filename="mmrouter-requests.%s"' % form.encode()
            length = (b"content-length", b"%d" % path.stat().st_size)
            kind = (b"content-type", media), (b"content-disposition", name)
            await exchange.start(200, [*kind, length, _PRIVATE, *_HEADERS])
            with path.open("rb") as data:
                while piece := await asyncio.to_thread(data.read, _PIECE):
                    await exchange.write(piece)
            await exchange.finish()


def _admit(exchange: Exchange) -> None:
    """What everybody asked and spent, and what steers the server, is not for every client.

    Raises:
        ForbiddenError
    """
    if not exchange.client.admin:
        raise ForbiddenError(
            f"The key '{exchange.client.name}' has the scope 'client': it may ask models, and not "
            "open the dashboard, which shows everybody's requests. Use MMROUTER_API_KEY or an "
            "admin key: `mmrouter keys create NAME --admin` makes one, `scope: admin` in the "
            "key's row of server.keys makes this one; then `mmrouter config reload`"
        )


async def _elsewhere(exchange: Exchange) -> None:
    """Where the dashboard stands alone, its port leads to it."""
    if exchange.path != "/":
        raise NotFoundError("Only the dashboard is served here; `mmrouter serve` serves the API")
    await exchange.answer(307, b"", [(b"location", PREFIX.encode()), *_HEADERS])


async def _page(exchange: Exchange) -> None:
    found = file(exchange.path)
    if found is None:
        raise NotFoundError("The dashboard has no such file")
    keep = b"public, max-age=31536000, immutable" if found.forever else b"no-cache"
    headers = [(b"content-type", found.media), (b"cache-control", keep), *_HEADERS]
    if b"gzip" in exchange.headers.get(b"accept-encoding", b""):
        packed = (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")
        await exchange.answer(200, found.packed, [*headers, *packed])
    else:
        await exchange.answer(200, found.data, [*headers, (b"vary", b"accept-encoding")])
