"""`POST /v1/feedback`: how good an answer was."""

from __future__ import annotations

from mmrouter.errors import InvalidRequestError
from mmrouter.router.parts import Parts
from mmrouter.server.body import read_json
from mmrouter.server.http import Exchange

_MOST_COMMENT = 10_000


async def feedback(exchange: Exchange, parts: Parts) -> None:
    """Notes `{"request_id": "req_..." or the answer's own id, "score": 0..1, "comment": "..."}`."""
    body = await read_json(exchange, parts.config.server)
    id, score, comment = body.get("request_id"), body.get("score"), body.get("comment")
    if not isinstance(id, str) or not 0 < len(id) <= 256:
        raise InvalidRequestError("'request_id' must be an answer's id", param="request_id")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InvalidRequestError("'score' must be a number from 0 (bad) to 1", param="score")
    if comment is not None and not (isinstance(comment, str) and len(comment) <= _MOST_COMMENT):
        raise InvalidRequestError(
            f"'comment' must be a text of up to {_MOST_COMMENT} characters", param="comment"
        )
    await parts.feedback(id, float(score), comment, "api")
    await exchange.answer_json({"object": "mmrouter.feedback", "request_id": id, "score": score})
