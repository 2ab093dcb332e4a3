"""`GET /openapi.json`: what this server takes and answers, as OpenAPI 3.1.

Bodies are described as far as mmrouter reads them. The rest passes to the upstream as it came, so
every body allows more fields.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from mmrouter.router.parts import Parts
from mmrouter.server.http import Exchange

Json = dict[str, Any]


async def openapi(exchange: Exchange, parts: Parts) -> None:
    """The description of this API, with the limits of this server."""
    limits = parts.config.server
    await exchange.answer_json(describe(limits.max_messages))


def describe(max_messages: int) -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mmrouter",
            "version": version("mmrouter"),
            "description": "Routes each LLM request to the cheapest model that will do it well.",
        },
        "security": [{"bearer": []}, {"x-api-key": []}, {}],
        "paths": {
            "/v1/chat/completions": {
                "post": _generation("chat", "OpenAI Chat Completions", "Chat")
            },
            "/v1/messages": {"post": _generation("messages", "Anthropic Messages", "Messages")},
            "/v1/messages/count_tokens": {"post": _count_tokens()},
            "/v1/responses": {"post": _generation("responses", "OpenAI Responses", "Responses")},
            "/v1/embeddings": {"post": _embeddings()},
            "/v1/models": {"get": _get("models", "The names that a client may ask for", "Models")},
            "/v1/models/{name}": {"get": _model()},
            "/v1/feedback": {"post": _feedback()},
            "/health": {"get": _open(_get("health", "This process lives", "Health"))},
            "/ready": {"get": _ready()},
            "/openapi.json": {"get": _get("openapi", "This document", "Any")},
            "/": {"get": _get("root", "Where to look", "Any")},
        },
        "components": {
            "schemas": _schemas(max_messages),
            "parameters": _controls(),
            "headers": _headers(),
            "responses": _failures(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _json(schema: str) -> Json:
    return {"application/json": {"schema": _ref("schemas", schema)}}


def _operation(id: str, summary: str, answers: Json, *failures: str) -> Json:
    responses = {"200": answers, **{status: _ref("responses", status) for status in failures}}
    return {"operationId": id, "summary": summary, "responses": responses}


_REFUSALS = ("401", "403")
"""What any path may answer: a wrong key; a foreign Host or Origin."""

_BODY_REFUSALS = ("400", *_REFUSALS, "404", "413", "415", "429")
_UPSTREAM_FAILURES = ("500", "502", "503", "504")


def _get(id: str, summary: str, schema: str) -> Json:
    answers = {"description": summary, "content": _json(schema)}
    return _operation(id, summary, answers, *_REFUSALS, "429")


def _open(operation: Json) -> Json:
    """Needs no key."""
    return {**operation, "security": [{}]}


def _post(id: str, summary: str, body: str, answers: Json, *failures: str) -> Json:
    operation = _operation(id, summary, answers, *_BODY_REFUSALS, *failures)
    return {**operation, "requestBody": {"required": True, "content": _json(body)}}


def _generation(id: str, summary: str, schema: str) -> Json:
    answers = {
        "description": "The upstream's answer as it came; a decision where a dry run was asked for",
        "headers": {name: _ref("headers", name) for name in _headers()},
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {},  # a schema would be read as that of each event
        },
    }
    operation = _post(id, summary, schema, answers, *_UPSTREAM_FAILURES)
    return {**operation, "parameters": [_ref("parameters", name) for name in _controls()]}


def _count_tokens() -> Json:
    summary = "How long a Messages prompt is"
    answers = {
        "description": "As the provider counts; else estimated, as X-MMRouter-Estimated says",
        "content": _json("Tokens"),
    }
    return _post("count_tokens", summary, "Prompt", answers, *_UPSTREAM_FAILURES)


def _embeddings() -> Json:
    answers = {"description": "The upstream's answer as it came", "content": _json("Any")}
    operation = _post("embeddings", "OpenAI Embeddings", "Embeddings", answers, *_UPSTREAM_FAILURES)
    return {**operation, "parameters": [_ref("parameters", name) for name in _controls()]}


def _model() -> Json:
    operation = _get("model", "One of them", "Any")
    operation["responses"]["404"] = _ref("responses", "404")
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {**operation, "parameters": [name]}


def _feedback() -> Json:
    answers = {"description": "Noted", "content": _json("Any")}
    return _post(
        "feedback",
        "How good an answer was; the last word counts",
        "Feedback",
        answers,
        "500",
        "503",
    )


def _ready() -> Json:
    operation = _open(_get("ready", "Requests are served", "Any"))
    unready = {"description": "The books cannot be written", "content": _json("Any")}
    operation["responses"]["503"] = unready
    return operation


def _controls() -> Json:
    """Headers by which a client controls one request."""

    def header(name: str, description: str, schema: Json) -> Json:
        return {"name": name, "in": "header", "description": description, "schema": schema}

    text = {"type": "string", "pattern": r"^[!-~]+$"}
    return {
        "Session": header(
            "X-MMRouter-Session", "Id of the conversation", {**text, "maxLength": 200}
        ),
        "MaxCost": header(
            "X-MMRouter-Max-Cost",
            "Most that the request may cost, in US dollars",
            {"type": "number", "minimum": 0, "maximum": 1_000_000},
        ),
        "Tags": header(
            "X-MMRouter-Tags", "Comma separated", {"type": "string", "pattern": r"^[a-z0-9]{1,64}$"}
        ),
        "DryRun": header(
            "X-MMRouter-Dry-Run",
            "Decide only: nobody is called, nothing recorded",
            {"type": "string", "enum": ["true", "false"]},
        ),
    }


def _headers() -> Json:
    """What a client is told of its answer."""

    def header(description: str, schema: str = "string") -> Json:
        return {"description": description, "schema": {"type": schema}}

    return {
        "X-MMRouter-Request-Id": header("Ours; what /v1/feedback takes"),
        "X-MMRouter-Model": header("The model that answered"),
        "X-MMRouter-Provider": header("Whose it is"),
        "X-MMRouter-Variant": header("experiment/variant, while one runs"),
        "X-MMRouter-Complexity": header("simple, medium or complex; absent for a named model"),
        "X-MMRouter-Category": header("factual, reasoning, creative or code; likewise"),
        "X-MMRouter-Confidence": header("That both are right, 0 to 1; likewise", "number"),
        "X-MMRouter-Fallback": header("Another model had failed", "boolean"),
        "X-MMRouter-Escalated": header("Low confidence moved it up a level", "boolean"),
        "X-MMRouter-Budget-Downgraded": header("The budget moved it down", "boolean"),
        "X-MMRouter-Adaptive-Reranked": header("Feedback changed the order", "boolean"),
        "X-MMRouter-Attempts": header("Provider calls made", "integer"),
        "X-MMRouter-Decision": header("Why this model, in short"),
        "X-MMRouter-Overhead-Ms": header("What mmrouter took before the first call", "number"),
        "X-MMRouter-Cost": header(
            "US dollars, all attempts together, or unknown. Streams end with it as a comment line"
        ),
        "X-MMRouter-Cache-Read-Tokens": header("Not on streams", "integer"),
        "X-MMRouter-Cache-Creation-Tokens": header("Not on streams", "integer"),
    }


def _failures() -> Json:
    meanings = {
        "400": "The request cannot be understood or carried",
        "401": "No key, or a wrong one; or the server lacks a provider's",
        "403": "A foreign Host or Origin, where no key protects the server",
        "404": "No such model or path",
        "413": "The body is too long",
        "415": "The body is not plain JSON",
        "429": "A budget or rate limit, ours or the provider's",
        "500": "A fault of ours",
        "502": "No provider answered well",
        "503": "The books cannot be written, so nobody was called",
        "504": "No provider answered in time",
    }
    return {
        status: {"description": meaning, "content": _json("Error")}
        for status, meaning in meanings.items()
    }


def _schemas(max_messages: int) -> Json:
    model = {
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "default": "auto",
        "description": "auto, auto:cheap, auto:balanced, auto:best, or a model's name",
    }
    stream = {"type": ["boolean", "null"], "default": False}
    text_or_parts = {"type": ["string", "array", "null"], "items": {"type": "object"}}
    message = {
        "type": "object",
        "properties": {"role": {"type": "string"}, "content": text_or_parts},
        "required": ["role"],
    }
    some = {"type": "array", "minItems": 1, "maxItems": max_messages, "items": message}
    nothing_of_ours = {"not": {"anyOf": [{"required": [name]} for name in _NOT_FOR_CLIENTS]}}

    def body(required: list[str], **properties: Json) -> Json:
        shape = {"type": "object", "properties": {"model": model, **properties}}
        return {**shape, "required": required, **nothing_of_ours}

    return {
        "Any": {"type": "object"},
        "Chat": body(["messages"], messages=some, stream=stream),
        "Messages": body(
            ["messages", "max_tokens"],
            messages=some,
            max_tokens={"type": "integer", "minimum": 0},
            stream=stream,
        ),
        "Prompt": body(["messages"], messages=some),
        "Responses": body(
            [],
            input={"type": ["string", "array", "null"], "minItems": 1, "items": {"type": "object"}},
            stream=stream,
        ),
        "Embeddings": body(
            ["model", "input"], input={"type": ["string", "array"], "minItems": 1, "minLength": 1}
        ),
        "Tokens": {
            "type": "object",
            "properties": {"input_tokens": {"type": "integer", "minimum": 0}},
            "required": ["input_tokens"],
        },
        "Feedback": {
            "type": "object",
            "properties": {
                "request_id": {"type": "string", "minLength": 1, "maxLength": 256},
                "score": {"type": "number", "minimum": 0, "maximum": 1},
                "comment": {"type": ["string", "null"], "maxLength": 10_000},
            },
            "required": ["request_id", "score"],
        },
        "Models": {
            "type": "object",
            "properties": {"data": {"type": "array", "items": {"type": "object"}}},
            "required": ["data"],
        },
        "Health": {
            "type": "object",
            "properties": {"status": {"const": "ok"}, "version": {"type": "string"}},
            "required": ["status", "version"],
        },
        "Error": {
            "type": "object",
            "properties": {
                "error": {
                    "type": "object",
                    "properties": {
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                        "code": {"type": ["string", "null"]},
                        "param": {"type": ["string", "null"]},
                    },
                    "required": ["message", "type"],
                }
            },
            "required": ["error"],
        },
    }


_NOT_FOR_CLIENTS = ("api_base", "base_url", "api_key")
"""Some of what `request` refuses: where a request goes is config's to say."""
