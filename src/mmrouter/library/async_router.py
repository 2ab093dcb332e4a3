"""`AsyncRouter`: the router for asyncio code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import orjson

from mmrouter.bootstrap import build
from mmrouter.classifier.text import judge
from mmrouter.dialects import Conversation
from mmrouter.dialects.base import items, mapping
from mmrouter.library.result import RouteResult, result_of
from mmrouter.providers.base import Chunk
from mmrouter.router.ids import new_request_id
from mmrouter.router.pipeline import Done, Events
from mmrouter.router.whole import whole
from mmrouter.types import Classification, Dialect, Nanos, Plan, Request, Surface

Messages = Sequence[Mapping[str, Any]]
Prompt = str | Messages


class AsyncRouter:
    """Routes prompts from asyncio code.

    Use as `async with AsyncRouter() as router`, or call `aclose()`.

    Args:
        config: a path, the name of a preset, or a `Config`.
        db: URL or path of the tracker's database, over config's.
        local_fallback: where no configured model has its key, a small local model answers.
        surface: how requests are labelled in the books.

    Raises:
        ConfigError: the config is wrong.
        UnpricedModelError: it routes to a model whose price is unknown.
    """

    def __init__(
        self,
        config: Any = "configs/default.yaml",
        *,
        db: str | None = None,
        local_fallback: bool = False,
        surface: Surface = Surface.LIBRARY,
    ) -> None:
        self._parts = build(config, db=db, local_fallback=local_fallback)
        self._surface = surface

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Waits for the books to be written, closes connections and stops local models."""
        await self._parts.aclose()

    def run(self, request: Request) -> Events:
        """The pipeline itself, for surfaces."""
        return self._parts.policies.run(request)

    async def route(self, prompt: str, **params: Any) -> RouteResult:
        """Answers one prompt; `params` are those of `route_messages`."""
        return await self.route_messages([{"role": "user", "content": prompt}], **params)

    async def route_messages(
        self,
        messages: Messages,
        *,
        model: str = "auto",
        session: str | None = None,
        tags: Sequence[str] = (),
        max_cost_nanos: Nanos | None = None,
        **params: Any,
    ) -> RouteResult:
        """Answers a conversation.

        Args:
            messages: in the shape of OpenAI's chat API.
            model: "auto", a dial ("auto:cheap", "auto:balanced", "auto:best"), or a model's name.
            session: id of the conversation; without one it is known by how it begins.
            params: any parameter of the chat API (`temperature`, `tools`...), passed through.

        Raises:
            MMRouterError: see `mmrouter.errors`.
        """
        request = self._request(
            messages, model, session, tags, max_cost_nanos, params, stream=False
        )
        done = await whole(self.run, request)
        choices = items(mapping(orjson.loads(done.data)).get("choices"))
        message = mapping(choices[0].get("message")) if choices else {}
        content = message.get("content")
        text = content if isinstance(content, str) else ""
        return result_of(done.outcome, text, message)

    def stream(
        self,
        prompt: Prompt,
        *,
        model: str = "auto",
        session: str | None = None,
        tags: Sequence[str] = (),
        max_cost_nanos: Nanos | None = None,
        **params: Any,
    ) -> AnswerStream:
        """Answers as the text is made: iterate over the result; its `result` is set at the end."""
        messages: Messages = (
            [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        )
        request = self._request(messages, model, session, tags, max_cost_nanos, params, stream=True)
        return AnswerStream(self.run(request))

    async def decide(
        self, prompt: Prompt, *, model: str = "auto", session: str | None = None, **params: Any
    ) -> Plan:
        """The decision for a prompt; nobody is called."""
        messages: Messages = (
            [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        )
        request = self._request(messages, model, session, (), None, params, stream=False)
        return await self._parts.policies.decide(request)

    def classify(self, prompt: Prompt) -> Classification:
        """The classification of a prompt, by the local strategy; nobody is called.

        It computes for a millisecond or two, and for some 5 to 80 where it has to look twice.
        """
        messages: Messages = (
            [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        )
        return self._parts.classifier.classify(judge(Conversation(messages)))

    async def feedback(self, request_id: str, score: float, *, comment: str | None = None) -> None:
        """Notes how good an answer was.

        Args:
            request_id: ours, or the provider's id of the answer.
            score: 0 (bad) to 1 (good).

        Raises:
            InvalidRequestError: no such request, or a score outside 0..1.
        """
        await self._parts.feedback(request_id, score, comment, self._surface.value)

    def _request(
        self,
        messages: Messages,
        model: str,
        session: str | None,
        tags: Sequence[str],
        max_cost_nanos: Nanos | None,
        params: Mapping[str, Any],
        *,
        stream: bool,
    ) -> Request:
        body = {**params, "model": model, "messages": list(messages)}
        if stream:
            body["stream"] = True
        return Request(
            id=new_request_id(),
            surface=self._surface,
            dialect=Dialect.CHAT,
            model=model,
            body=body,
            stream=stream,
            session=session,
            tags=tuple(tags),
            max_cost_nanos=max_cost_nanos,
        )


class AnswerStream:
    """Text as it arrives: an async iterator.

    Attributes:
        result: the whole, once the iteration has ended; None before.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self.result: RouteResult | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        async with aclosing(self._events) as events:
            async for event in events:
                if isinstance(event, Chunk):
                    if event.text:
                        yield event.text
                elif isinstance(event, Done):
                    message = {"role": "assistant", "content": event.text}
                    self.result = result_of(event.outcome, event.text, message)
