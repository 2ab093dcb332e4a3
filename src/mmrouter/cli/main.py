"""The command `mmrouter`: commands are imported when they are called, so `--help` is quick."""

from __future__ import annotations

import importlib
import sys

import click

_COMMANDS = {
    "route": "mmrouter.cli.route:route",
    "classify": "mmrouter.cli.classify:classify",
    "init": "mmrouter.cli.init:init",
    "config": "mmrouter.cli.config:config",
    "train": "mmrouter.cli.train:train",
    "eval": "mmrouter.cli.eval:evaluate",
    "compare": "mmrouter.cli.compare:compare",
    "quality": "mmrouter.cli.quality:quality",
    "stats": "mmrouter.cli.stats:stats",
    "budget": "mmrouter.cli.budget:budget",
    "experiment": "mmrouter.cli.experiment:experiment",
    "replay": "mmrouter.cli.replay:replay",
    "feedback": "mmrouter.cli.feedback:feedback",
    "alerts": "mmrouter.cli.alerts:alerts",
    "db": "mmrouter.cli.db:db",
    "serve": "mmrouter.cli.serve:serve",
    "dashboard": "mmrouter.cli.dashboard:dashboard",
    "demo": "mmrouter.cli.demo:demo",
    "keys": "mmrouter.cli.keys:keys",
}
"""Command -> where it lives. Listed in the order in which `--help` shows them."""

_HELP = {
    "route": "Answer a prompt with the cheapest model that will do it well.",
    "classify": "Classify prompts; no model is called.",
    "init": "Set mmrouter up: choose a provider, check its key, write a config.",
    "config": "Check and show configs.",
    "train": "Train the embeddings classifier on labelled prompts of your own.",
    "eval": "How often a classifier is right, and where it is wrong.",
    "compare": "All local classifiers side by side: accuracy and speed.",
    "quality": "Whether routed answers are as good as the baseline's.",
    "stats": "What was spent, on what, and what routing saved.",
    "budget": "Spending limits: what is left, and whether the counters are right.",
    "experiment": "Compare two or more configs on live traffic.",
    "replay": "What a config would have saved on a log of requests.",
    "feedback": "Say whether an answer was good.",
    "alerts": "What is wrong now, what people were told, and whether it reaches them.",
    "db": "Look after the tracker's database: migrate, verify, prune, export.",
    "serve": "Serve the OpenAI and Anthropic APIs over HTTP.",
    "dashboard": "Show where every dollar went, and why, in the browser.",
    "demo": "Show the dashboard with a day of made-up traffic; no key is needed.",
    "keys": "Make, list and revoke API keys of the server.",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in _COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-c",
    "--config",
    envvar="MMROUTER_CONFIG",
    default="configs/default.yaml",
    show_default=True,
    metavar="PATH|PRESET",
    help="Routing config: a YAML file, or a preset such as openai, cascade or local.",
)
@click.version_option(package_name="mmrouter", prog_name="mmrouter")
@click.pass_context
def cli(ctx: click.Context, config: str) -> None:
    """Route each LLM request to the cheapest model that will do it well.

    \b
    Try it, with no key and no network:
      mmrouter route "What is the capital of France?"
      mmrouter classify "Prove that sqrt(2) is irrational"
    """
    ctx.obj = {"config": config}


def main() -> None:
    """Runs the command; our own errors end it with one clear line and exit code 1."""
    from mmrouter.errors import MMRouterError

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.secho("Aborted.", fg="red", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.secho("Interrupted.", fg="red", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MMRouterError as error:
        click.secho(f"Error: {error}", fg="red", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # the reader of our output (`head`, a closed pager) has gone: nothing is left to say
        sys.stderr.close()
        sys.exit(141)
