"""What the commands in `scripts/` share: connecting, answering, and errors without tracebacks.

A command is a click command of the class `UserCommand`. It opens the deployment with
`open_system()` and ends with `answer(...)`, which prints text, or JSON with `--json`. What a user
can get wrong ends in one sentence on stderr (with `--json` as `{"error": ...}` on stdout) and exit
code 2 where the request itself is wrong, 1 where it was refused or the network is not as expected.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click
from ape.cli import ConnectedProviderCommand

if TYPE_CHECKING:
    from backstop.chain.deploy import System

F = TypeVar("F", bound=Callable[..., Any])

_WORDS = "backstop.words"
_START_NODE = (
    "keep one running with `anvil` and name it in APE_FOUNDRY_HOST=http://127.0.0.1:8545, or choose"
    " another --network"
)


class UserError(click.ClickException):
    """Something the user can put right: one sentence, exit code 1 (2 for a wrong request)."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UserCommand(ConnectedProviderCommand):
    """A command on a network that answers user errors with a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Connect, run the command, translate what goes wrong."""
        as_json = bool(ctx.params.get("as_json"))
        _quiet_ape()
        with translated(ctx, as_json):
            require_node(ctx.params.get("network"))
            return super().invoke(ctx)


def json_option(function: F) -> F:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(
        function
    )


def _quiet_ape() -> None:
    """Without ape's lines for every transaction: stdout is the command's, and JSON stays JSON."""
    from ape.logging import LogLevel, logger

    if logger.level < LogLevel.WARNING and not {"-v", "--verbosity"} & set(sys.argv):
        logger.set_level(LogLevel.WARNING)


def require_node(network: Any) -> None:
    """Say that a named node does not run, before ape starts another one in its place."""
    host = os.environ.get("APE_FOUNDRY_HOST")
    if not host or getattr(network, "name", "foundry") != "foundry":
        return
    parts = urlsplit(host if "//" in host else f"http://{host}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(f"no node answers at {host} ({error}): {_START_NODE}") from None


@contextlib.contextmanager
def translated(
    ctx: click.Context, as_json: bool, stopped: str = "stopped; what was sent before stays sent"
) -> Iterator[None]:
    """End what a user can get wrong, and Ctrl-C, in a sentence and an exit code."""
    try:
        yield
    except Exception as error:
        failure = _translate(ctx, error)
        if failure is None:
            raise  # a defect of ours: its traceback is wanted
    except KeyboardInterrupt:
        failure = UserError(stopped)
    else:
        return
    if as_json:
        click.echo(json.dumps({"error": failure.message}))
    else:
        click.echo(f"Error: {failure.message}", err=True)
    ctx.exit(failure.exit_code)


def _translate(ctx: click.Context, error: Exception) -> UserError | None:
    """The user's version of an exception; None if it is none of the user's business."""
    from ape.exceptions import Abort as ApeAbort, AccountsError, ApeException

    from backstop.chain.artifacts import MissingArtifact
    from backstop.chain.clients import NothingToDo
    from backstop.chain.config import ConfigError
    from backstop.chain.errors import explain
    from backstop.chain.orders import OrderFileError
    from backstop.chain.record import DeploymentError
    from backstop.chain.units import UnitError
    from backstop.harness.abi import NoData, Reverted
    from backstop.harness.rpc import NodeError, RpcError
    from backstop.risk.errors import RiskError
    from backstop.simulation.errors import SimulationError

    if isinstance(error, UserError):
        return error
    if isinstance(error, click.exceptions.Exit | click.UsageError):
        raise error
    if isinstance(error, click.Abort):
        return UserError("stopped; what was sent before stays sent")
    if isinstance(error, Reverted):
        return UserError(explain(error, ctx.meta.get(_WORDS)))
    if isinstance(error, ConfigError | OrderFileError | UnitError | RiskError | SimulationError):
        return UserError(str(error), 2)
    if isinstance(error, DeploymentError | MissingArtifact | NothingToDo):
        return UserError(str(error))
    if isinstance(error, NodeError):
        return UserError(f"the node does not answer any more ({error}): {_START_NODE}")
    if isinstance(error, RpcError):
        return UserError(f"the node refuses: {error.message}")
    if isinstance(error, NoData):
        return UserError(f"{error}: the deployment and the network do not fit; deploy again")
    if isinstance(error, AccountsError):
        return UserError(f"{error}: send the account some coins for gas, or use another one")
    if isinstance(error, ApeAbort | click.ClickException):
        return UserError(error.format_message())
    if isinstance(error, ApeException):
        return UserError(f"{type(error).__name__}: {error}")
    if type(error).__module__.split(".")[0] in ("requests", "urllib3") or isinstance(
        error, ConnectionError
    ):
        return UserError(f"the node does not answer: {_START_NODE}")
    return None


def active_provider() -> Any:
    """The provider of the network the command is connected to."""
    from ape import networks

    return networks.active_provider


def owns_node(provider: Any) -> bool:
    """Whether ape started the node for this command only, so that it ends with it."""
    return getattr(provider, "process", None) is not None


def open_system() -> System:
    """The system deployed on the network the command is connected to."""
    from backstop.chain.artifacts import build_artifacts
    from backstop.chain.deploy import attach
    from backstop.chain.errors import Words, register_all
    from backstop.chain.transport import ApeClient

    provider = active_provider()
    if owns_node(provider):
        raise UserError(
            "this command would run on a node of its own, on which nothing is deployed:"
            f" {_START_NODE}"
        )
    client = ApeClient(provider)
    system = attach(client, artifacts=build_artifacts())
    register_all(client.registry, system.artifacts)
    click.get_current_context().meta[_WORDS] = Words.of(system)
    return system


def find_account(text: str) -> bytes:
    """An account number from `0x…/sub`, or from an ape alias such as `alice/1` or `TEST::0`."""
    from backstop.chain.format import parse_account

    if text.startswith("0x"):
        try:
            return parse_account(text)
        except ValueError as error:
            raise UserError(str(error), 2) from None
    alias, _, sub = text.partition("/")
    try:
        return parse_account(f"{load_account(alias).address}/{sub or 0}")
    except ValueError as error:
        raise UserError(str(error), 2) from None


def load_account(alias: str) -> Any:
    """An ape account by its alias; `TEST::0` is the first test account."""
    from ape import accounts

    kind, _, index = alias.partition("::")
    try:
        if kind == "TEST":
            return accounts.test_accounts[int(index)]
        return accounts.load(alias)
    except (KeyError, IndexError, ValueError):
        raise UserError(
            f"there is no account {alias}: give an address, a name from `ape accounts list`, or"
            " TEST::0 for the first test account",
            2,
        ) from None


def find_market(system: System, text: str) -> int:
    """A market's number from its name or number."""
    try:
        return system.record.market(text)
    except LookupError as error:
        raise UserError(str(error), 2) from None


def mint(system: System, who: str, amount: Decimal) -> None:
    """Give somebody so many mock tokens (`--mint`)."""
    from backstop.chain.units import scaled

    record = system.record
    if not record.token_mock:
        raise UserError(f"{record.token_symbol} is a real token: it cannot be minted here")
    system.token.mint.send(who, scaled(amount, record.token_decimals), sender=who)


def wait(system: System, seconds: int) -> None:
    """Move a development node's clock."""
    from backstop.harness.rpc import RpcError

    try:
        system.client.warp(seconds)
    except RpcError:
        raise UserError("this network's clock cannot be moved: it is no development node") from None


class DecimalType(click.ParamType):
    """A positive plain decimal number, exact."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        """The number of a text."""
        from backstop.chain.units import UnitError, parse_decimal

        if isinstance(value, Decimal):
            return value
        try:
            number = parse_decimal(value)
        except UnitError as error:
            self.fail(f"{value!r} is not {error}", param, ctx)
        if number <= 0:
            self.fail(f"{value} is not positive", param, ctx)
        return number


class DurationType(click.ParamType):
    """Seconds of `12h`, `30m`, `1d`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The seconds of a text."""
        from backstop.chain.units import UnitError, parse_duration

        if isinstance(value, int):
            return value
        try:
            return parse_duration(value)
        except UnitError as error:
            self.fail(f"{value!r} is not {error}", param, ctx)


def plain(value: Any) -> Any:
    """Any result as JSON has it: decimals and large numbers as text, bytes in hex."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value


def answer(as_json: bool, data: Any, text: str) -> None:
    """Print a command's result."""
    click.echo(json.dumps(plain(data), indent=2) if as_json else text)
