"""Hard constraints: what a model must be able to do for this request."""

from __future__ import annotations

from mmrouter.types import Needs, Target

_CANNOT_READ = {
    "anthropic": frozenset({"openai", "local"}),
    "openai": frozenset({"anthropic", "local"}),
}
"""Who signed thinking -> the kinds of targets that are sure not to read it. What LiteLLM reaches
may be the same maker's model on another cloud."""


def unfit(target: Target, needs: Needs) -> str | None:
    """Why the target cannot serve the request; None if it can, as far as is known."""
    if target.capabilities is not None:
        missing = needs.capabilities - target.capabilities
        if missing:
            return f"cannot do {', '.join(sorted(missing))}"
    if needs.sealed_by is not None and target.kind in _CANNOT_READ[needs.sealed_by]:
        return "cannot read the signed thinking of this turn"
    if target.context_window is not None:
        wanted = needs.input_tokens + min(needs.max_output or 0, target.max_output or 0)
        if wanted > target.context_window:
            return f"about {wanted} tokens do not fit its window of {target.context_window}"
    return None
