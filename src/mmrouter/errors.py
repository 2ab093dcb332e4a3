"""Every error that mmrouter raises on purpose.

    MMRouterError
    ├── ConfigError               a config file is wrong: file, line, key, expected, nearest name
    ├── MissingDependencyError    an extra is not installed: names the command that mends it
    ├── InvalidRequestError       the caller's fault; 400
    │   └── UnknownModelError     no row, pattern or provider matches; 404
    ├── UnpricedModelError        no price is known for the model, and config refuses such; 400
    ├── BudgetExceededError       a limit would be overrun; 429
    ├── NoCandidateError          no configured model can do what the request needs; 400
    ├── TrackerError              the books cannot be written; 503
    ├── StateError                the budget's counters cannot be reached; 503
    ├── LocalModelError           the local model cannot be started or did not answer
    ├── NothingToJudgeError       a comparison of answers lacks one, or a judgement
    └── ProviderError             a provider call failed
        ├── MissingKeyError           the key's environment variable is empty; not sent
        ├── ProviderConnectionError   refused, reset, DNS; retryable
        ├── ProviderTimeoutError      no answer, or no byte for too long; retryable
        │   └── TotalTimeoutError         the request took too long; tells nothing of the provider
        ├── ProviderProtocolError     the answer is not what its content type says; retryable
        ├── RateLimitedError          429; retryable
        ├── ProviderServerError       5xx; retryable
        ├── ProviderAuthError         401, 403: this provider will not do, another may
        ├── ContextLengthError        the prompt is too long for this model, another may do
        ├── ContentFilterError        this provider refuses the content
        ├── UpstreamModelError        404: the provider does not have this model
        └── BadUpstreamRequestError   any other 4xx: this provider finds the request wrong

After any ProviderError the next model of the plan is tried; `retryable` says whether the same model
may be asked again first, after a pause.
"""

from __future__ import annotations

from typing import ClassVar


class MMRouterError(Exception):
    """Base of all.

    Attributes:
        status: the HTTP status that a server answers with.
        code: stable name for programs.
        attempts: how many provider calls had been made; set by the pipeline.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    attempts: int = 0


class ConfigError(MMRouterError):
    """A config file is wrong. The message names file, line, key and what was expected."""

    code = "config_error"


class MissingDependencyError(MMRouterError):
    """An optional dependency is not installed.

    Args:
        package: what could not be imported.
        mend: the command that installs it.
    """

    code = "missing_dependency"

    def __init__(self, package: str, mend: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: {mend}")
        self.package = package
        self.mend = mend


class InvalidRequestError(MMRouterError):
    """The caller's request cannot be understood or carried. `param` is the JSON key at fault."""

    status = 400
    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModelError(InvalidRequestError):
    """The named model is neither in config nor known to the registry."""

    status = 404
    code = "model_not_found"


class UnpricedModelError(MMRouterError):
    """The model has no known price and config does not say `unpriced: allow`."""

    status = 400
    code = "unpriced_model"


class BudgetExceededError(MMRouterError):
    """A limit would be overrun. `retry_after_s`: seconds until it resets, or None."""

    status = 429
    code = "budget_exceeded"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoCandidateError(MMRouterError):
    """No configured model can do what the request needs; the message says which need failed."""

    status = 400
    code = "no_candidate"


class NothingToJudgeError(MMRouterError):
    """A comparison of answers lacks one, or a judgement; the message says why."""

    code = "nothing_to_judge"


class TrackerError(MMRouterError):
    """The books cannot be written, and config says to refuse then."""

    status = 503
    code = "tracker_unavailable"


class StateError(MMRouterError):
    """The counters that hold spending to its limits cannot be reached: nobody is called then."""

    status = 503
    code = "state_unavailable"


class LocalModelError(MMRouterError):
    """The local model cannot be started or did not answer."""

    status = 503
    code = "local_model_error"


class ProviderError(MMRouterError):
    """A provider call failed. Raised at the provider's edge, never with a key in its message.

    Args:
        message: what happened, fit for a client's eyes.
        upstream_status: the provider's HTTP status, or None where none came.
        retry_after_s: the provider's wish in seconds, or None.
        body: the provider's own error JSON, or None; passed on to clients of the same dialect.
    """

    status = 502
    code = "provider_error"
    retryable: ClassVar[bool] = False
    health: ClassVar[bool] = True
    """Counts as a failure for the circuit breakers: it is the model or its provider that is ill,
    and not the request, the key or the number of calls."""

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        body: object = None,
    ) -> None:
        super().__init__(message)
        self.upstream_status = upstream_status
        self.retry_after_s = retry_after_s
        self.body = body


class MissingKeyError(ProviderError):
    """The environment variable that should hold the key is not set. Nothing was sent."""

    status = 401
    code = "missing_api_key"
    health = False

    def __init__(self, provider: str, env: str) -> None:
        super().__init__(
            f"No API key for provider '{provider}': set it with: export {env}=your-key "
            "(or run `mmrouter init`)"
        )
        self.provider = provider
        self.env = env


class ProviderConnectionError(ProviderError):
    """The connection was refused, reset or could not be made."""

    code = "provider_unreachable"
    retryable = True


class ProviderTimeoutError(ProviderError):
    """No answer within the timeout, or no byte within the stall timeout."""

    status = 504
    code = "provider_timeout"
    retryable = True


class TotalTimeoutError(ProviderTimeoutError):
    """The request has taken `provider.total_timeout_ms`, whoever was slow: it may be the client."""

    retryable = False
    health = False

    def __init__(self) -> None:
        super().__init__("the request's total timeout is over")


class ProviderProtocolError(ProviderError):
    """The answer is malformed, cut off, or of another content type than promised."""

    code = "provider_protocol_error"
    retryable = True


class RateLimitedError(ProviderError):
    """The provider said 429: the model is well, and passed over until it may be asked again."""

    status = 429
    code = "rate_limited"
    retryable = True
    health = False


class ProviderServerError(ProviderError):
    """The provider said 5xx."""

    code = "provider_server_error"
    retryable = True


class ProviderAuthError(ProviderError):
    """The provider refused the key: 401 or 403."""

    status = 401
    code = "provider_auth_error"
    health = False


class ContextLengthError(ProviderError):
    """The prompt is too long for the model."""

    status = 400
    code = "context_length_exceeded"
    health = False


class ContentFilterError(ProviderError):
    """The provider refused the content."""

    status = 400
    code = "content_filter"
    health = False


class UpstreamModelError(ProviderError):
    """The provider does not have this model, or not for this key: 404."""

    code = "upstream_model_not_found"
    health = False


class BadUpstreamRequestError(ProviderError):
    """The provider says that the request itself is wrong."""

    status = 400
    code = "bad_request"
    health = False
