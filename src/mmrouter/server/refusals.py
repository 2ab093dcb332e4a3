"""What the server itself refuses, before any model is chosen; drawn into the tree of `errors`."""

from __future__ import annotations

from mmrouter.errors import InvalidRequestError, MMRouterError


class UnauthorizedError(MMRouterError):
    """No key, or a wrong one."""

    status = 401
    code = "invalid_api_key"


class ForbiddenError(MMRouterError):
    """A foreign Host or Origin where no key protects the server, or a key of too small a scope."""

    status = 403
    code = "forbidden"


class NotFoundError(MMRouterError):
    """No such path, or no such model."""

    status = 404
    code = "not_found"


class MethodNotAllowedError(MMRouterError):
    """The path exists for other methods. `allowed` names them."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class BodyTooLargeError(InvalidRequestError):
    """The body is longer than `server.max_body_bytes`."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaError(InvalidRequestError):
    """The body is not plain JSON."""

    status = 415
    code = "unsupported_media_type"


class TooManyRequestsError(MMRouterError):
    """The key's `requests_per_minute` are used up. `retry_after_s`: seconds until one is free."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
