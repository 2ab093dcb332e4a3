"""The tables of the books, the same on SQLite and PostgreSQL.

Money is a `BigInteger` of nano-dollars, NULL where the price is unknown; instants are Unix seconds;
durations are milliseconds. Columns that statistics read stand first, because SQLite decodes a row
from its left.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

SAMPLED = "substr(id, length(id)) = '0'"
"""Holds for one request in sixteen: the last digit of an id is random. The index
`ix_requests_sample` has their times (migrations.py: SQLAlchemy would load all of its PostgreSQL
dialect to describe it here)."""


def _counts() -> list[Column[int]]:
    """Token columns, named and counted as in `types.Usage`."""
    return [
        Column("input_tokens", BigInteger, nullable=False),
        Column("output_tokens", BigInteger, nullable=False),
        Column("cache_read_tokens", BigInteger, nullable=False),
        Column("cache_write_tokens", BigInteger, nullable=False),
        Column("reasoning_tokens", BigInteger, nullable=False),
        Column("cache_write_1h_tokens", BigInteger, nullable=False, server_default="0"),
    ]


requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("cost_nanos", BigInteger),  # all attempts and classifying
    Column("answered_cost_nanos", BigInteger),  # the attempt that the client saw
    Column("classifier_cost_nanos", BigInteger, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("ttft_ms", Double),
    Column("overhead_ms", Double, nullable=False),
    *_counts(),  # summed over the attempts
    Column("attempts", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),  # attempts that a cascade's gate turned down
    Column("escalated", Boolean, nullable=False),
    Column("budget_downgraded", Boolean, nullable=False),
    Column("adaptive_reranked", Boolean, nullable=False),
    Column("fallback_used", Boolean, nullable=False),
    Column("cascade", Boolean, nullable=False),  # an attempt had to pass a gate
    Column("stream", Boolean, nullable=False),
    Column("complexity", Text),
    Column("category", Text),
    Column("answered_model", Text),
    Column("provider", Text),  # of the answered model
    Column("key_name", Text),
    Column("tags", Text, nullable=False),  # JSON array of strings
    Column("requested_model", Text, nullable=False),
    Column("wanted_model", Text),
    Column("surface", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("confidence", Double),
    Column("difficulty", Double),
    Column("classifier", Text),  # strategy
    Column("degraded", Text),
    Column("variant", Text),
    Column("session", Text),
    Column("price_source", Text),  # of the answered model
    Column("upstream_id", Text),  # the provider's id of the answer
    Column("error_class", Text),
    Column("error", Text),
    Column("reasons", Text, nullable=False),  # JSON array of strings
    Column("prompt_hash", Text),
    Column("prompt", Text),
    Column("continuation", Text),  # what became of the conversation's model: `types.Move`
    Column("switch_nanos", BigInteger),  # what leaving that model costs in cached prompt
    Column("switch_saving_nanos", BigInteger),  # what leaving it saves over the turns looked ahead
    Column("unit", Text),  # what the variant's experiment never splits, as a hash
    Index("ix_requests_started", "started", "id"),
    Index("ix_requests_session", "session", "started"),
    Index("ix_requests_upstream_id", "upstream_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cost_nanos", BigInteger),
    Column("input_cost_nanos", BigInteger),
    Column("output_cost_nanos", BigInteger),
    Column("cache_read_cost_nanos", BigInteger),
    Column("cache_write_cost_nanos", BigInteger),
    *_counts(),
    Column("estimated", Boolean, nullable=False),
    Column("started", Double, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("ttft_ms", Double),
    Column("http_status", Integer),
    Column("finish_reason", Text),
    Column("error_class", Text),
    Column("error", Text),
    Column("price_source", Text),
    Column("upstream_id", Text),
    Column("detail", Text),
    Column("bound_nanos", BigInteger),  # most that it could have cost; what a budget set aside
    sqlite_with_rowid=False,  # one tree instead of a table and its key's index
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("score", Double, nullable=False),  # 0..1
    Column("comment", Text),
    Column("source", Text, nullable=False),
    Column("created", Double, nullable=False),
    Index("ix_feedback_request_id", "request_id"),
)

judgements = Table(  # routed answers held against a baseline's (eval/quality.py)
    "judgements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("request_id", Text, nullable=False),  # the routed one
    Column("created", Double, nullable=False),
    Column("source", Text, nullable=False),  # "command" or "shadow"
    Column("routed_model", Text, nullable=False),
    Column("baseline_model", Text, nullable=False),
    Column("judge_model", Text, nullable=False),
    Column("verdict", Text),  # of the routed answer: win, tie, loss; NULL: could not be judged
    Column("score", Double),  # of the routed answer, 0..1; NULL: not marked
    Column("baseline_score", Double),
    Column("cost_nanos", BigInteger, nullable=False),  # of the comparison
    Column("detail", Text, nullable=False),  # JSON: marks, or the fault
    Index("ix_judgements_request_id", "request_id"),
    Index("ix_judgements_created", "created"),
)

breaker_changes = Table(  # when models and providers failed, and came back
    "breaker_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text),  # NULL: the provider's own breaker
    Column("phase", Text, nullable=False),  # into which it went: open, half_open, closed
    Column("cause", Text),  # the failure that opened it
    Index("ix_breaker_changes_at", "at"),
)

alerts = Table(  # what people were told, or should have been
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),  # of what: a limit, a model; empty for all of it
    Column("kind", Text, nullable=False),  # raised, recovered or test
    Column("text", Text, nullable=False),
    Column("delivered", Text, nullable=False),  # JSON: channel -> null, or why it failed
    Index("ix_alerts_at", "at"),
)

alert_states = Table(  # shared by all processes, so that one of them speaks
    "alert_states",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("firing", Boolean, nullable=False),
    Column("told", Double, nullable=False),  # when people were last told, Unix seconds; 0: never
    Column("seen", Double, nullable=False),  # when a process last found it firing
)

experiments = Table(
    "experiments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created", Double, nullable=False),
    Column("stopped", Double),  # NULL: it runs
    Column("reason", Text),  # why it was stopped
    Column("unit", Text, nullable=False),  # prompt, session or key
    Column("guardrail", Double),  # share of failed requests past which a variant is halted
    Column("arms", Text, nullable=False),  # JSON: name, share, source, config; the control first
    Column("halted", Text, nullable=False),  # JSON: variant -> why
)

DIMENSIONS = (
    *("status", "complexity", "category", "answered_model", "provider", "key_name", "tags"),
    *("surface", "variant"),
)
"""Columns of `requests` by which sums are kept apart."""


def _sums(name: str, *columns: Column[Any]) -> Table:
    """Sums of one hour's requests that are alike in all dimensions (facts.py)."""
    return Table(
        name,
        metadata,
        Column("hour", BigInteger, nullable=False),  # since 1970
        *(Column(dimension, Text) for dimension in DIMENSIONS),
        *columns,
        Index(f"ix_{name}_hour", "hour"),
    )


def _numbers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


request_sums = _sums(
    "request_sums",
    *_numbers("requests", "cost_nanos", "unpriced", "classifier_cost_nanos"),
    Column("latency_ms", Double, nullable=False),
    *_numbers("prompt_tokens", "output_tokens", "failed", "fallbacks", "escalated"),
    *_numbers("budget_downgraded", "adaptive_reranked", "cascades", "cascade_rejected"),
)

answer_sums = _sums(  # of requests whose cost is known, and of the attempts that answered them
    "answer_sums",
    *_numbers("requests", "cost_nanos", "answer_nanos", "output_squares"),
    *_counts(),
    Column("prompt_tokens", BigInteger, nullable=False),  # of the longest
)

call_sums = _sums(  # of attempts
    "call_sums",
    Column("model", Text, nullable=False),
    *_numbers("calls", "cost_nanos", "unpriced", "failed", "rejected"),
    *_numbers("input_tokens", "output_tokens", "cache_read_tokens"),
)

sums_state = Table(  # one row
    "sums_state",
    metadata,
    Column("generation", BigInteger, nullable=False),  # rises with every hour that is summed up
    Column("upto", BigInteger),  # the first hour that is not; NULL: none is
)

stale_hours = Table(  # written to after they were summed up, or while
    "stale_hours",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),  # rises with every such write
)

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))
