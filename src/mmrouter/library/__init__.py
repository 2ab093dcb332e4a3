"""The Python library: `Router` and `AsyncRouter`, a surface like the others."""
