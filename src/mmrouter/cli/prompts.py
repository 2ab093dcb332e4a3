"""Prompts as commands take them: an argument, or standard input."""

from __future__ import annotations

import sys

import click


def read_prompt(argument: str | None) -> str:
    """The prompt of a command line; "-" or none at all reads standard input.

    Raises:
        click.UsageError: there is no prompt, or it is not valid UTF-8.
    """
    if argument not in (None, "-"):
        text = argument or ""
    elif argument is None and sys.stdin.isatty():
        raise click.UsageError('No prompt. Give one: mmrouter route "..." or pipe it in.')
    else:
        raw = sys.stdin.buffer.read()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise click.UsageError(f"Standard input is not UTF-8 (byte {error.start}).") from None
    if not text.strip():
        raise click.UsageError("The prompt is empty.")
    return text
