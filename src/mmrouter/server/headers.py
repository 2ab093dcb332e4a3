"""`X-MMRouter-*`: what a client may ask for, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from mmrouter.errors import InvalidRequestError
from mmrouter.money import NANOS_PER_USD
from mmrouter.router.pipeline import Accepted
from mmrouter.types import Nanos, Outcome, Plan, Target

Pairs = list[tuple[bytes, bytes]]

_MOST_TAGS = 20
_MOST_TAG = 64
_MOST_SESSION = 200
_MOST_USD = 1_000_000
_MOST_DECISION = 300

_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no", ""})
_BOOLS = (b"false", b"true")


@dataclass(frozen=True, slots=True)
class Controls:
    """What the client asks of us for one request."""

    session: str | None = None
    max_cost_nanos: Nanos | None = None
    tags: tuple[str, ...] = ()
    dry_run: bool = False


_NO_CONTROLS = Controls()
_CONTROLS = frozenset(
    (b"x-mmrouter-session", b"x-mmrouter-max-cost", b"x-mmrouter-tags", b"x-mmrouter-dry-run")
)


def controls(headers: Mapping[bytes, bytes]) -> Controls:
    """Reads `X-MMRouter-Session`, `-Max-Cost` (USD), `-Tags` (comma separated), `-Dry-Run`.

    Raises:
        InvalidRequestError: a value that means nothing.
    """
    if _CONTROLS.isdisjoint(headers):
        return _NO_CONTROLS  # as nearly every request
    return Controls(
        session=_session(_text(headers, b"x-mmrouter-session")),
        max_cost_nanos=_max_cost(_text(headers, b"x-mmrouter-max-cost")),
        tags=_tags(_text(headers, b"x-mmrouter-tags")),
        dry_run=_dry_run(_text(headers, b"x-mmrouter-dry-run")),
    )


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("utf-8", "replace").strip()


def _session(value: str | None) -> str | None:
    if value is not None and not 0 < len(value) <= _MOST_SESSION:
        raise InvalidRequestError(f"X-MMRouter-Session takes 1 to {_MOST_SESSION} characters")
    return value


def _max_cost(value: str | None) -> Nanos | None:
    if value is None:
        return None
    try:
        usd = Decimal(value)
    except InvalidOperation:
        usd = Decimal("NaN")
    if not (usd.is_finite() and 0 <= usd <= _MOST_USD):
        raise InvalidRequestError(
            f"X-MMRouter-Max-Cost takes US dollars from 0 to {_MOST_USD}, such as 0.05"
        )
    return int(usd * NANOS_PER_USD)


def _tags(value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    tags = tuple(dict.fromkeys(tag.strip() for tag in value.split(",") if tag.strip()))
    if len(tags) > _MOST_TAGS or any(len(tag) > _MOST_TAG for tag in tags):
        raise InvalidRequestError(
            f"X-MMRouter-Tags takes up to {_MOST_TAGS} tags of up to {_MOST_TAG} characters, "
            "separated by commas"
        )
    return tags


def _dry_run(value: str | None) -> bool:
    if value is None or value.lower() in _FALSE:
        return False
    if value.lower() not in _TRUE:
        raise InvalidRequestError("X-MMRouter-Dry-Run takes true or false")
    return True


def safe(text: str) -> bytes:
    """The text as the value of a header: one line of ASCII. Names of models come from clients."""
    if not (text.isascii() and text.isprintable()):
        text = " ".join(text.encode("ascii", "replace").decode().split())
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text.encode()


def usd(nanos: Nanos | None) -> bytes:
    """ "0.000042000": exact; "unknown" where a price is."""
    if nanos is None:
        return b"unknown"
    whole, rest = divmod(nanos, NANOS_PER_USD)
    return b"%d.%09d" % (whole, rest)


def decision_headers(request_id: str, accepted: Accepted) -> Pairs:
    """What is known when an answer begins."""
    return _headers(
        request_id,
        accepted.plan,
        accepted.target,
        attempts=accepted.attempts,
        fallback=accepted.fallback_used,
        overhead_ms=accepted.overhead_ms,
    )


def outcome_headers(accepted: Accepted, outcome: Outcome) -> Pairs:
    """What is known when an answer is complete: all of it."""
    pairs = _headers(
        outcome.request.id,
        accepted.plan,
        accepted.target,
        attempts=len(outcome.tries),
        fallback=outcome.fallback_used,
        overhead_ms=outcome.overhead_ms,
    )
    pairs.append((b"x-mmrouter-cost", usd(outcome.cost_nanos)))
    answered = outcome.answered
    if answered is not None:
        usage = answered.usage
        pairs.append((b"x-mmrouter-cache-read-tokens", b"%d" % usage.cache_read_tokens))
        pairs.append((b"x-mmrouter-cache-creation-tokens", b"%d" % usage.cache_write_tokens))
    return pairs


def cost_comment(nanos: Nanos | None) -> bytes:
    """A comment line that stands in the stream's last event.

    It is no event of its own: the blank line that would end one makes the decoder of the OpenAI SDK
    yield an empty event where the upstream gives its events ids.
    """
    return b": x-mmrouter-cost " + usd(nanos) + b"\n"


def _headers(
    request_id: str,
    plan: Plan,
    target: Target,
    *,
    attempts: int,
    fallback: bool,
    overhead_ms: float,
) -> Pairs:
    id = request_id.encode()
    pairs = [
        (b"x-request-id", id),
        (b"request-id", id),
        (b"x-mmrouter-request-id", id),
        (b"x-mmrouter-model", safe(target.name)),
        (b"x-mmrouter-provider", safe(target.provider)),
        (b"x-mmrouter-fallback", _BOOLS[fallback]),
        (b"x-mmrouter-escalated", _BOOLS[plan.escalated]),
        (b"x-mmrouter-budget-downgraded", _BOOLS[plan.budget_downgraded]),
        (b"x-mmrouter-adaptive-reranked", _BOOLS[plan.adaptive_reranked]),
        (b"x-mmrouter-attempts", b"%d" % attempts),
        (b"x-mmrouter-decision", safe("; ".join(plan.reasons)[:_MOST_DECISION])),
        (b"x-mmrouter-overhead-ms", b"%.2f" % overhead_ms),
    ]
    classification = plan.classification
    if classification is not None:
        pairs += (
            (b"x-mmrouter-complexity", classification.complexity.encode()),
            (b"x-mmrouter-category", classification.category.encode()),
            (b"x-mmrouter-confidence", b"%.4f" % classification.confidence),
        )
    if plan.variant is not None:
        pairs.append((b"x-mmrouter-variant", safe(plan.variant)))
    return pairs
