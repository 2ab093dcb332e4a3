"""The classifier that a command line asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mmrouter.classifier.text import Judged
    from mmrouter.config import Config
    from mmrouter.dialects.question import Question
    from mmrouter.router.parts import Parts
    from mmrouter.types import Classification

    Labels = Callable[[Judged], Classification]

DEFAULT_CONFIG = "configs/default.yaml"


@contextmanager
def classifier_for(
    config: str, strategy: str | None, trained_model: str | None
) -> Iterator[Labels]:
    """The strategy of a config, or the one that options name over it.

    Reading a config costs more than classifying: where nobody has one, none is read.
    """
    from mmrouter.classifier.select import select

    second_look = True
    if strategy == "llm" or (
        strategy is None and (config != DEFAULT_CONFIG or Path(config).exists())
    ):
        from mmrouter.config import load_config

        loaded = load_config(config)
        wanted = loaded.classifier
        strategy, trained_model = strategy or wanted.strategy, trained_model or wanted.trained_model
        second_look = wanted.second_look
        if strategy == "llm":
            with _asking(loaded) as labels:
                yield labels
            return
    selected = select(strategy or "auto", trained_model, second_look)
    if selected.degraded is not None:
        click.secho(f"Rules classify instead: {selected.degraded}", fg="yellow", err=True)
    yield selected.classifier.classify


@contextmanager
def _asking(config: Config) -> Iterator[Labels]:
    """Asks config's model; each call is a request of its own in the books, tagged "classify"."""
    import asyncio  # late: the local strategies do without, and it is slow to import
    from threading import Lock

    from mmrouter.bootstrap import build
    from mmrouter.classifier.llm import LlmClassifier

    if config.classifier.model is None:
        raise click.ClickException("--classifier llm needs classifier.model in the config")
    llm = LlmClassifier(config.classifier.model, config.classifier.timeout_ms / 1000)
    with asyncio.Runner() as runner:
        parts = build(config)

        async def ask(question: Question) -> str:
            return await _answer(parts, question)

        alone = Lock()  # a runner runs one thing at a time, and a batch asks from several threads

        def labels(judged: Judged) -> Classification:
            with alone:
                return runner.run(llm.classify(judged, ask))

        try:
            yield labels
        finally:
            runner.run(parts.aclose())


async def _answer(parts: Parts, question: Question) -> str:
    import asyncio

    from mmrouter.dialects.question import body_of, dialect_of
    from mmrouter.errors import ProviderTimeoutError
    from mmrouter.router.ids import new_request_id
    from mmrouter.router.whole import whole
    from mmrouter.types import Request, Surface

    target = parts.registry.priced(question.model)
    request = Request(
        id=new_request_id(),
        surface=Surface.CLI,
        dialect=dialect_of(target),
        model=question.model,
        body=body_of(question, target),
        tags=("classify",),
    )
    try:
        async with asyncio.timeout(question.timeout_s):
            return (await whole(parts.policies.run, request)).text
    except TimeoutError:
        raise ProviderTimeoutError(f"{target.name} took too long to classify") from None
