"""The connection to the chain: attaches to the deployment, and says in a sentence what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backstop.chain.artifacts import ArtifactSource, build_artifacts
from backstop.chain.deploy import System, attach
from backstop.chain.errors import register_all
from backstop.chain.record import DeploymentError
from backstop.chain.transport import Client
from backstop.harness.abi import NoData, Reverted
from backstop.harness.rpc import NodeError, RpcError

Connect = Callable[[], Client]


class Gone(RuntimeError):
    """The chain cannot be read now; the message says why and what helps."""


@dataclass(frozen=True)
class Head:
    """The newest block."""

    number: int
    hash: str
    time: int


class Source:
    """A deployment on a node that may go away and come back.

    Args:
        connect: makes a client; called again after the connection was lost.
        record: chain id or file of the deployment's record; that of the client's chain if None.
        artifacts: compiled contracts; those of ape's compile cache if not given.
    """

    def __init__(
        self,
        connect: Connect,
        record: int | str | Path | None = None,
        artifacts: ArtifactSource | None = None,
    ) -> None:
        self._connect, self._record = connect, record
        self._artifacts = artifacts or build_artifacts()
        self._client: Client | None = None
        self._system: System | None = None

    @property
    def system(self) -> System:
        """The deployment; `head` has to have succeeded before."""
        if self._system is None:
            raise Gone("not attached to a deployment yet")
        return self._system

    def head(self) -> tuple[Head, bool]:
        """The newest block, and whether the deployment was attached anew (also after a restart).

        Raises:
            Gone: no node, no deployment on it, or another one than recorded.
        """
        try:
            if self._client is None:
                self._client = self._connect()
            fresh = self._system is None
            if fresh:
                self._system = attach(self._client, self._record, self._artifacts)
                register_all(self._client.registry, self._artifacts)
            block = self._client.rpc("eth_getBlockByNumber", "latest", False)
        except NodeError as error:
            self.lost()
            raise Gone(f"the node does not answer: {error}") from error
        except (DeploymentError, RpcError, NoData) as error:
            self._system = None
            raise Gone(str(error)) from error
        return Head(int(block["number"], 16), block["hash"], int(block["timestamp"], 16)), fresh

    def lost(self) -> None:
        """Forget connection and deployment: the next `head` attaches anew."""
        if self._client is not None:
            self._client.close()
        self._client = self._system = None


READ_ERRORS = (NodeError, RpcError, Reverted, NoData)
"""What reading a chain that changes below us can raise."""
