"""Deployment: promised addresses, roles and delays, nothing left open, records and attaching."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from types import SimpleNamespace

import pytest
from eth_utils import keccak

from backstop.chain.clients import Governance
from backstop.chain.config import Parameters, ReinsuranceConfig
from backstop.chain.deploy import (
    ENGINE_PARTS,
    PERMISSIONS,
    ROLE_IDS,
    AccountDeployer,
    RpcDeployer,
    attach,
    created_address,
    deploy,
    selector,
)
from backstop.chain.record import DeploymentError, load_record
from backstop.chain.transport import ApeClient
from backstop.harness.abi import Reverted, abi_of, signature_of
from backstop.harness.anvil import Anvil, private_key

STRANGER = "0x" + "5a" * 20
TIGHTENING = {
    "tightenMarket",
    "pauseRisk",
    "tightenClaimant",
    "tightenClaimantMarket",
    "holdMaturity",
    "tightenCaps",
}

# Every function that changes something and is meant for everybody, or for another contract, which
# the function itself checks. What is in neither this list nor PERMISSIONS fails the sweep.
OPEN = {
    "engine": {
        *("deposit", "withdraw", "poke", "sweepFees", "followFund"),
        *("closeFairWindow", "collectWindow", "repayEnded"),
    },
    "settlement": {"fill", "matchOrders", "cancel", "cancelAll"},
    "liquidator": {
        *("flag", "unflag", "takeOver", "liquidateWithOrders", "deleverage", "closeOut"),
        *("liquidateToBackstop", "closeOutToBackstop", "buyInventory", "unwindInventory"),
    },
    "fund": {
        *("fundCompartment", "fundReserve", "fundStakers", "fundBacking", "fundPremium", "recover"),
        *("noteReserveGap", "noteSolvency", "reportShortfall", "returnCapital"),
    },
    "crash_put": {"write", "activate", "settle", "deliver", "withdraw"},
    "risk_oracle": {"poke"},
    "backstop": {"deploy", "release"},
    "tranche": {
        *("deposit", "mint", "requestRedeem", "redeem", "withdraw", "claim", "setOperator"),
        "collect",
        *("transfer", "transferFrom", "approve", "permit"),
    },
    "authority": {"schedule", "execute", "cancel", "renounceRole", "multicall"},
    "lens": {"snapshot"},  # pokes, which anybody may, and looks
}
INTERNAL = {
    "engine": {
        "NotSettlement": {"settleFill"},
        "NotLiquidator": {
            "touch",
            "setFlag",
            "takeOver",
            "chargeLiquidation",
            "deleverage",
            "chargeSide",
            "coverFromFund",
            "settleDeficit",
        },
        "AccessManagedUnauthorized": {"setAuthority"},
    },
    "settlement": {"NotLiquidator": {"fillLiquidation"}},
    "fund": {
        "NotClaimant": {"cover", "receiveIncome"},
        "NotSelf": {"settleEvent"},
        "NotTranche": {"payStaker"},
        "NotReinsurer": {"payPremium"},
        "NotInventory": {"deployCapital", "writeOffCapital"},
        "AccessManagedUnauthorized": {"setAuthority"},
    },
    "backstop": {
        "NotLiquidator": {"noteChange", "noteDeficit"},
        "AccessManagedUnauthorized": {"setAuthority"},
    },
    "tranche": {
        "NotFund": {"slash", "addIncome", "holdMaturity", "recover"},
        "AccessManagedUnauthorized": {"setAuthority"},
    },
    "crash_put": {"NotFund": {"pay"}, "AccessManagedUnauthorized": {"setAuthority"}},
    "oracle": {"AccessManagedUnauthorized": {"setAuthority"}},
    "risk_oracle": {
        "NotReporter": {"post"},
        "AccessManagedUnauthorized": {"setAuthority"},
    },
    # asks its caller, which is no contract here
    "authority": {"": {"consumeScheduledOp"}},
    "lock": {"NotMember": {"acquire"}, "NotHolder": {"release"}},
}


@pytest.fixture(scope="session")
def parameters(parameters):
    """With every part a deployment can have."""
    wanted = ReinsuranceConfig(50_000, Decimal(20_000), Decimal(3_000))
    fund = dataclasses.replace(parameters.fund, reinsurance=wanted)
    return dataclasses.replace(parameters, fund=fund)


def changing(contract):
    """The functions that may change state."""
    return [
        item
        for item in contract.abi
        if item.get("type") == "function" and item.get("stateMutability") not in ("view", "pure")
    ]


def zeros(component):
    """The smallest value of a type."""
    kind = component["type"]
    if kind.endswith("]"):
        return []
    if kind == "tuple":
        return [zeros(member) for member in component["components"]]
    if kind == "address":
        return STRANGER
    if kind == "bool":
        return False
    if kind == "string":
        return ""
    if kind.startswith("bytes"):
        return bytes(int(kind[5:] or 0))
    return 0


def listed(system, name):
    """The restricted functions of a contract by PERMISSIONS, by role."""
    assert name in system.contracts
    return PERMISSIONS.get(name, {})


def refusal(contract, item, sender=STRANGER):
    """How a function refuses a stranger; None if it does not."""
    arguments = [zeros(component) for component in item.get("inputs", [])]
    try:
        contract[signature_of(item)].call(*arguments, sender=sender)
    except Reverted as error:
        return error.name
    return None


# --- addresses


def test_created_addresses_are_the_chains(node):
    creator = node.accounts[9]
    for nonce in (0, 1, 127, 128, 255, 256, 65_536):
        with node.client.isolated():
            node.client.rpc("anvil_setNonce", creator, hex(nonce))
            receipt = node.client.send(None, "0x00", sender=creator)
            assert receipt.contract_address == created_address(creator, nonce)


def test_the_contracts_know_each_other(system):
    lock, contracts = system.lock, system.contracts
    for name in ("engine", "settlement", "liquidator", "fund", "tranche"):
        assert lock.isMember(contracts[name].address)
        assert contracts[name].lock() == lock.address
    assert not lock.isMember(STRANGER)
    for part in ENGINE_PARTS:
        assert not lock.isMember(system.contracts[part].address)
    assert system.engine.token() == system.fund.asset() == system.token.address
    for name in ("engine", *ENGINE_PARTS, "fund", "oracle", "risk_oracle", "crash_put"):
        assert contracts[name].authority() == system.authority.address


def test_a_transaction_in_between_is_noticed(node, parameters, compiled):
    client, account = node.client, node.accounts[8]

    def artifacts(name):
        if name == "MarginEngine":
            client.send(STRANGER, sender=account)
        return compiled(name)

    with client.isolated(), pytest.raises(DeploymentError, match="promised to the other contracts"):
        deploy(parameters, RpcDeployer(client, account, artifacts))


# --- what was asked for


def test_markets_feeds_and_fund_are_as_in_the_file(system, parameters):
    assert system.engine.marketCount() == len(parameters.markets)
    for number, market in enumerate(parameters.markets):
        listed, liquidation, paused = system.engine.marketParameters(number)
        assert tuple(listed) == dataclasses.astuple(market.parameters)
        assert tuple(liquidation) == dataclasses.astuple(market.liquidation)
        assert not paused
        feeds = system.oracle.feeds(number)
        assert (feeds.maxDeviation, feeds.maxJump) == (20_000, 200_000)
        assert feeds.minPrice == market.feeds.min_price
        limits = system.fund.marketLimits(system.engine.address, number)
        assert limits.compartmentCap == market.fund.compartment_cap * 10**6
        assert system.fund.compartment(system.engine.address, number) == (
            market.fund.initial * 10**6
        )
        state = system.engine.marketState(number)
        assert state.validity == 2, "full: both feeds answer"
    limits = system.fund.claimantLimits(system.engine.address)
    assert (limits.perClaim, limits.window) == (100_000 * 10**6, 86_400)
    assert system.fund.reserve() == 100_000 * 10**6
    assert system.fund.reserveTarget() == 250_000 * 10**6
    assert tuple(system.tranche.terms())[:2] == (1_000_000 * 10**6, 14 * 86_400)
    assert system.fund.stakerShare() == 200_000
    assert system.tranche.fund() == system.fund.address
    assert system.fund.reinsurer() == system.crash_put.address
    assert tuple(system.fund.premium()) == (3_000 * 10**6, 50_000, 20_000 * 10**6)
    assert system.crash_put.fund() == system.fund.address
    assert system.crash_put.oracle() == system.oracle.address
    held = system.token.balanceOf(system.fund.address)
    assert held == system.fund.totalCapital() + 3_000 * 10**6


def test_parameters_the_contracts_refuse_cannot_pass_the_file(parameters, node, compiled):
    """The envelope of the file and that of the contract agree at the boundary, to the ppm."""
    market = parameters.markets[0]
    from backstop.chain.config import envelope_ppm

    dearest = market.liquidation.surcharge_ppm * market.cover.cap_ppm // 10**6
    needed = envelope_ppm(market.parameters, market.liquidation)
    liquidation = dataclasses.replace(market.liquidation, surcharge_ppm=dearest)
    followed = envelope_ppm(market.parameters, liquidation)
    for margin, cover, fits in (
        (needed, None, True),
        (needed - 1, None, False),
        (followed, market.cover, True),
        (followed - 1, market.cover, False),
    ):
        changed = dataclasses.replace(
            market,
            cover=cover,
            parameters=dataclasses.replace(market.parameters, maintenance_margin_ppm=margin),
        )
        wanted = dataclasses.replace(parameters, markets=(changed,))
        deployer = RpcDeployer(node.client, node.accounts[7], compiled)
        with node.client.isolated():
            if fits:
                deploy(wanted, deployer)
            else:
                with pytest.raises(Reverted, match="EnvelopeViolated"):
                    deploy(wanted, deployer)


def test_a_token_or_feed_that_is_not_there_is_named(parameters, node, compiled):
    deployer = RpcDeployer(node.client, node.accounts[7], compiled)
    token = dataclasses.replace(parameters.token, address=STRANGER)
    with node.client.isolated(), pytest.raises(DeploymentError, match=r"token\.address in"):
        deploy(dataclasses.replace(parameters, token=token), deployer)
    market = parameters.markets[0]
    feed = dataclasses.replace(market.feeds.primary, address=STRANGER, mock_price=None)
    feeds = dataclasses.replace(market.feeds, primary=feed)
    markets = (dataclasses.replace(market, feeds=feeds),)
    with node.client.isolated(), pytest.raises(DeploymentError, match=r"primary\.address in"):
        deploy(dataclasses.replace(parameters, markets=markets), deployer)


def test_a_real_token_and_real_feeds_are_used(system, parameters, node, compiled):
    """A second system on the first one's token and feeds."""
    market, feeds = parameters.markets[0], system.record.markets[0].feeds
    real = dataclasses.replace(
        parameters,
        token=dataclasses.replace(parameters.token, address=system.token.address, decimals=None),
        markets=(
            dataclasses.replace(
                market,
                feeds=dataclasses.replace(
                    market.feeds,
                    primary=dataclasses.replace(
                        market.feeds.primary, address=feeds[0].address, mock_price=None
                    ),
                    secondary=None,
                ),
            ),
        ),
    )
    deployer = RpcDeployer(node.client, node.accounts[7], compiled)
    with pytest.raises(DeploymentError, match="initial capital is 123000"):
        deploy(real, deployer)
    system.token.mint.send(node.accounts[7], 123_000 * 10**6, sender=node.accounts[7])
    second = deploy(real, deployer)
    assert second.token.address == system.token.address
    assert second.record.token_symbol == "mUSD"
    assert not second.record.token_mock
    assert second.engine.marketState(0).validity == 1, "one feed only: reduced"
    with pytest.raises(DeploymentError, match="are real"):
        second.set_price(0, Decimal(1), node.accounts[7])


def test_a_sanctions_list_is_asked_at_deposits(parameters, node, compiled):
    client, user = node.client, node.accounts[5]
    deployer = RpcDeployer(client, node.accounts[7], compiled)
    with client.isolated():
        with pytest.raises(DeploymentError, match="sanctions in"):
            deploy(dataclasses.replace(parameters, sanctions=STRANGER), deployer)
        listed = client.deploy(compiled("MockSanctions"), sender=node.accounts[7])
        system = deploy(dataclasses.replace(parameters, sanctions=listed.address), deployer)
        engine, token = system.engine, system.token
        token.mint(user, 10, sender=user)
        token.approve(engine.address, 10, sender=user)
        own, other = bytes.fromhex(user[2:]) + bytes(12), b"\7" * 20 + bytes(12)
        engine.deposit(own, 1, sender=user)
        listed.set(user, True, sender=user)
        for account in (own, other):
            with pytest.raises(Reverted, match="Sanctioned"):
                engine.deposit(account, 1, sender=user)
        engine.withdraw(own, 1, user, sender=user)
        listed.set(user, False, sender=user)
        listed.set("0x" + "07" * 20, True, sender=user)
        with pytest.raises(Reverted, match="Sanctioned"):
            engine.deposit(other, 1, sender=user)


# --- roles


def test_nothing_is_left_open_to_a_stranger(system):
    """Every function that changes something, of every contract of ours, called by nobody."""
    for name, contract in system.contracts.items():
        if name == "token":
            continue
        restricted = {f for functions in PERMISSIONS.get(name, {}).values() for f in functions}
        if name == "authority":
            restricted = set()
        internal = {f: e for e, fs in INTERNAL.get(name, {}).items() for f in fs}
        for item in changing(contract):
            function, how = item["name"], refusal(contract, item)
            where = f"{name}.{function}: {how}"
            if name in ENGINE_PARTS:
                # delegated to by the engine; on its own it knows nothing and nobody may call it
                assert how is not None, where
            elif function in restricted:
                assert how == "AccessManagedUnauthorized", where
            elif function in internal:
                assert how == internal[function], where
            elif name == "authority" and function not in OPEN["authority"]:
                assert how is not None and how.startswith("AccessM"), where
            else:
                assert function in OPEN.get(name, set()), (
                    f"{where}: give it a role in PERMISSIONS, or say here that it is for everybody"
                )
                assert how not in ("AccessManagedUnauthorized", "AccessManagedRequiredDelay"), where


def test_every_restricted_function_has_its_role_and_delay(system, parameters):
    authority, deployer = system.authority, system.record.deployer
    seen = set()
    for name in PERMISSIONS:
        contract = system.contracts[name]
        for role, functions in listed(system, name).items():
            for function in functions:
                picked = selector(contract, function)
                assert authority.getTargetFunctionRole(contract.address, picked) == ROLE_IDS[role]
                assert ROLE_IDS[role] != ROLE_IDS["admin"], "the admin grants, it does not act"
                member, delay = authority.hasRole(ROLE_IDS[role], deployer)
                assert member
                assert delay == parameters.roles[role].delay
                assert (delay == 0) == (function in TIGHTENING), f"{function}: {delay} s"
                seen.add(function)
    assert seen >= TIGHTENING


def test_functions_that_check_the_authority_are_all_listed(system):
    """Found by trying, not by reading: what refuses as unauthorized must be in PERMISSIONS."""
    for name, contract in system.contracts.items():
        if name in ("token", "authority", *ENGINE_PARTS):
            continue
        expected = {f for functions in listed(system, name).values() for f in functions}
        found = {
            item["name"]
            for item in changing(contract)
            if refusal(contract, item) == "AccessManagedUnauthorized"
        }
        assert found - {"setAuthority"} == expected


def test_the_admin_waits_as_well(system, parameters):
    authority, deployer = system.authority, system.record.deployer
    assert tuple(authority.hasRole(0, deployer)) == (True, parameters.roles["admin"].delay)
    for call in (
        ("grantRole", ROLE_IDS["guardian"], STRANGER, 0),
        ("setTargetFunctionRole", system.engine.address, [b"\0\0\0\0"], 0),
        ("setTargetClosed", system.fund.address, True),
        ("updateAuthority", system.engine.address, STRANGER),
    ):
        with pytest.raises(Reverted, match="AccessManagerNotScheduled"):
            authority[call[0]].call(*call[1:], sender=deployer)


def test_the_other_parts_of_the_engine_are_closed_to_their_own_callers(system):
    for part in ENGINE_PARTS:
        assert system.authority.isTargetClosed(system.contracts[part].address)
    item = next(i for i in changing(system.governance) if i["name"] == "listMarket")
    assert refusal(system.governance, item, system.record.deployer) is not None


def test_roles_can_go_to_others_and_the_deployer_keeps_nothing(parameters, node, compiled):
    others = {name: node.accounts[10 + place] for place, name in enumerate(ROLE_IDS)}
    roles = {
        name: dataclasses.replace(role, account=others[name])
        for name, role in parameters.roles.items()
    }
    deployer = node.accounts[7]
    with node.client.isolated():
        made = deploy(
            dataclasses.replace(parameters, roles=roles),
            RpcDeployer(node.client, deployer, compiled),
        )
        for name, number in ROLE_IDS.items():
            member, delay = made.authority.hasRole(number, others[name])
            assert (member, delay) == (True, roles[name].delay)
            assert not made.authority.hasRole(number, deployer)[0]


def test_without_handing_over_the_deployer_acts_at_once(parameters, node, compiled):
    """For tests that change parameters at will."""
    with node.client.isolated():
        made = deploy(
            parameters, RpcDeployer(node.client, node.accounts[7], compiled), hand_over=False
        )
        assert made.authority.hasRole(0, node.accounts[7]) == (True, 0)


# --- two-step governance


def test_loosening_takes_two_steps_and_tightening_one(system, parameters):
    governance = Governance(system, private_key(0))
    client, delay = system.client, parameters.roles["risk_admin"].delay
    assert governance.delay("engine", "pauseRisk", 0) == 0
    assert governance.delay("engine", "resumeRisk", 0) == delay
    assert Governance(system, STRANGER).delay("engine", "pauseRisk", 0) is None
    governance.call("engine", "pauseRisk", 0)
    assert system.engine.marketParameters(0)[2]
    with pytest.raises(Reverted, match="AccessManagerNotScheduled"):
        governance.call("engine", "resumeRisk", 0)
    scheduled = governance.schedule("engine", "resumeRisk", 0)
    assert scheduled.ready_at == client.timestamp + delay
    assert governance.ready_at("engine", "resumeRisk", 0) == scheduled.ready_at
    with pytest.raises(Reverted, match="AccessManagerNotReady"):
        governance.execute("engine", "resumeRisk", 0)
    client.warp(delay)
    governance.execute("engine", "resumeRisk", 0)
    assert not system.engine.marketParameters(0)[2]
    assert governance.ready_at("engine", "resumeRisk", 0) == 0
    with pytest.raises(Reverted, match="AccessManagerNotScheduled"):
        governance.execute("engine", "resumeRisk", 0)


def test_the_guardian_cancels_and_what_waits_too_long_expires(system, parameters):
    governance = Governance(system, private_key(0))
    call = ("fund", "setReserveTarget", 0)
    governance.schedule(*call)
    governance.cancel(system.record.deployer, *call)
    assert governance.ready_at(*call) == 0
    scheduled = governance.schedule(*call)
    system.client.warp(parameters.roles["fund_admin"].delay + 8 * 86_400)
    assert scheduled.ready_at < system.client.timestamp
    with pytest.raises(Reverted, match="AccessManagerExpired"):
        governance.execute(*call)
    with pytest.raises(Reverted, match="AccessManagerUnauthorizedCall"):
        Governance(system, node_account(system, 1)).schedule(*call)


def node_account(system, place):
    return system.client.rpc("eth_accounts")[place]


def test_a_new_market_is_listed_in_two_steps(system, parameters):
    governance = Governance(system, private_key(0))
    market = parameters.markets[0]
    call = ("engine", "listMarket", market.parameters, market.liquidation)
    governance.schedule(*call)
    system.client.warp(parameters.roles["risk_admin"].delay)
    governance.execute(*call)
    assert system.engine.marketCount() == 3


# --- records


def test_a_record_survives_the_file(system, tmp_path):
    path = system.record.save(tmp_path / "deep" / "31337.json")
    assert load_record(path) == system.record
    assert [entry.name for entry in path.parent.iterdir()] == ["31337.json"], "nothing half-written"
    data = json.loads(path.read_text())
    assert data["chain_id"] == 31337
    code = system.client.code(data["contracts"]["engine"]["address"])
    assert data["contracts"]["engine"]["code_hash"] == "0x" + keccak(code).hex()


def test_attaching_finds_the_same_system(system, tmp_path, monkeypatch, compiled):
    monkeypatch.setenv("BACKSTOP_DEPLOYMENTS", str(tmp_path))
    system.record.save()
    found = attach(system.client, artifacts=compiled)
    assert found.engine.address == system.engine.address
    assert found.engine.marketCount() == 2
    assert found.feeds[0][0].address == system.feeds[0][0].address
    assert found.record.market("btc") == found.record.market("0") == 0
    with pytest.raises(LookupError, match="0 BTC, 1 ETH"):
        found.record.market("DOGE")


def test_what_cannot_be_attached_names_the_remedy(system, tmp_path, monkeypatch):
    monkeypatch.setenv("BACKSTOP_DEPLOYMENTS", str(tmp_path))
    client = system.client
    with pytest.raises(DeploymentError, match=r"no deployment is recorded for chain 31337.*deploy"):
        attach(client)
    path = system.record.save()
    with (
        Anvil(extra=("--chain-id", "777")) as other,
        pytest.raises(DeploymentError, match="on chain 31337, but the network is chain 777"),
    ):
        attach(other.client, path)
    with Anvil() as restarted, pytest.raises(DeploymentError, match=r"restarted.*Deploy again"):
        attach(restarted.client)
    client.set_code(system.fund.address, b"\x00")
    with pytest.raises(DeploymentError, match=r"the fund at .* has another code"):
        attach(client)
    for text in (
        "",
        "{}",
        '{"format": 9}',
        "[]",
        path.read_text().replace('"address"', '"adress"'),
    ):
        path.write_text(text)
        with pytest.raises(DeploymentError, match="delete it and deploy again"):
            attach(client)


def test_a_failed_write_leaves_the_old_record(system, tmp_path, monkeypatch):
    path = system.record.save(tmp_path / "a.json")
    before = path.read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        dataclasses.replace(system.record, block=1).save(path)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


# --- over ape


def test_an_ape_account_deploys_the_same_system(networks, accounts, parameters, compiled):
    one = dataclasses.replace(parameters, markets=parameters.markets[:1])
    deployer = AccountDeployer(accounts[9], networks.active_provider, compiled)
    lines = []
    made = deploy(one, deployer, log=lines.append)
    assert isinstance(made.client, ApeClient)
    assert made.engine.marketCount() == 1
    assert made.authority.hasRole(0, accounts[9])[1] == parameters.roles["admin"].delay
    assert any(line.startswith("MarginEngine at 0x") for line in lines)
    with pytest.raises(Reverted, match="AccessManagerNotScheduled"):
        made.engine.resumeRisk.send(0, sender=accounts[9].address)
    with pytest.raises(TypeError, match="no account of ape's"):
        made.engine.poke.send(0, sender=accounts[8].address)


def test_an_abi_with_a_missing_function_is_a_mistake(system):
    with pytest.raises(LookupError, match="0 functions nothing"):
        selector(SimpleNamespace(abi=abi_of(system.engine)), "nothing")


def test_parameters_compare_by_meaning(parameters):
    again = Parameters.load(parameters.source)
    assert again == Parameters.load(parameters.source)
    assert again != parameters, "these have a crash put"


def test_a_deployment_without_a_crash_put_says_so(parameters, node, compiled):
    fund = dataclasses.replace(parameters.fund, reinsurance=None)
    with node.client.isolated():
        made = deploy(
            dataclasses.replace(parameters, fund=fund),
            RpcDeployer(node.client, node.accounts[7], compiled),
        )
        assert int(made.fund.reinsurer(), 16) == 0
        with pytest.raises(DeploymentError, match=r"no crash put: add fund\.reinsurance"):
            _ = made.crash_put
