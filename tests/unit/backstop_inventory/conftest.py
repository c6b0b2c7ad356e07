from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from backstop.harness.bench import Bench, deploy_bench
from backstop.harness.rpc import RpcClient


@pytest.fixture(scope="session")
def deployed_bench(rpc: RpcClient, project: Any) -> Bench:
    return deploy_bench(rpc, project.get_contract)


@pytest.fixture
def bench(deployed_bench: Bench, rpc: RpcClient) -> Iterator[Bench]:
    with rpc.isolated():
        yield replace(deployed_bench, nonces={})
