"""What a contract's refusal means, in a sentence: who, the numbers in human units, what to do.

    try:
        trader.fill(signed)
    except Reverted as error:
        print(explain(error, Words.of(system)))

Every custom error in the ABIs of a deployment has a sentence here; a test makes sure of it.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backstop.chain.artifacts import ArtifactSource, contract_abi
from backstop.chain.deploy import ARTIFACTS, ROLE_IDS, System
from backstop.chain.format import account, amount, at_least, duration, percent, quantity, time
from backstop.chain.units import from_units, from_wad
from backstop.harness.abi import AbiRegistry, Reverted

_VALIDITY: Final = ("invalid", "reduced", "full")
_SERIES_STATES: Final = (
    *("unknown", "open for writing", "waiting to be activated", "running", "expired"),
    *("settled", "cancelled"),
)


@dataclass(frozen=True)
class Words:
    """The names that sentences use.

    Attributes:
        symbol: of the collateral token.
        decimals: of the collateral token.
        markets: names of the markets, by number.
        contracts: names of known addresses.
    """

    symbol: str = "tokens"
    decimals: int = 18
    markets: tuple[str, ...] = ()
    contracts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, system: System) -> Words:
        """The names of a deployed system."""
        record = system.record
        return cls(
            record.token_symbol,
            record.token_decimals,
            tuple(market.name for market in record.markets),
            {
                entry.address: f"the {name.replace('_', ' ')}"
                for name, entry in record.contracts.items()
            },
        )

    def market(self, number: int) -> str:
        """A market's name."""
        return self.markets[number] if number < len(self.markets) else f"market {number}"

    def who(self, address: str) -> str:
        """A contract's name, or the address."""
        return self.contracts.get(address, address)

    def money(self, wad: int) -> str:
        """A WAD amount of collateral."""
        return f"{amount(from_wad(wad))} {self.symbol}"

    def money_up(self, wad: int) -> str:
        """The same, rounded up: what suffices."""
        return f"{at_least(from_wad(wad))} {self.symbol}"

    def assets(self, units: int) -> str:
        """An amount in the token's own units, exact."""
        return f"{quantity(from_units(units, self.decimals))} {self.symbol}"


def _role(number: int) -> str:
    return next((name for name, role in ROLE_IDS.items() if role == number), f"number {number}")


class _Sentence(string.Formatter):
    """Fills a template; what stands after the colon says what kind of thing an argument is."""

    def __init__(self, words: Words) -> None:
        self._kinds: Mapping[str, Callable[[Any], str]] = {
            "account": account,
            "assets": words.assets,
            "base": lambda wad: quantity(from_wad(wad)),
            "duration": duration,
            "market": words.market,
            "money": words.money,
            "money_up": words.money_up,
            "percent": percent,
            "price": lambda wad: amount(from_wad(wad)),
            "role": _role,
            "series": lambda state: _SERIES_STATES[state],
            "side": lambda longs: "longs" if longs else "shorts",
            "time": time,
            "validity": lambda level: _VALIDITY[level],
            "who": words.who,
        }

    def format_field(self, value: Any, format_spec: str) -> str:
        return self._kinds[format_spec](value) if format_spec else str(value)


_SENTENCES: Final[Mapping[str, str]] = {
    # trading
    "InsufficientMargin": (
        "account {account:account} would have equity {equity:money} but needs {required:money_up}"
        " initial margin: deposit at least {missing:money_up} or reduce the size"
    ),
    "HealthWorsened": (
        "account {account:account} is below its initial margin, so a trade may not worsen its"
        " health: equity over maintenance margin would go from {equityBefore:money} /"
        " {marginBefore:money} to {equityAfter:money} / {marginAfter:money}: deposit first, or"
        " reduce at a better price"
    ),
    "NotWithdrawable": (
        "account {account:account} can withdraw at most {available:assets} now, not"
        " {requested:assets}: withdraw less, reduce positions, or wait until locked profit is free"
    ),
    "PriceNotUsable(uint256,uint8,uint8)": (
        "the price of {market:market} is of {validity:validity} validity only, and this needs"
        " {needed:validity}: wait until its feeds are fresh and agree (`ape run markets` shows it)"
    ),
    "PriceNotUsable": (
        "the price of {market:market} is not usable now: wait until its feeds answer again"
    ),
    "OutsideBand": (
        "the price {fillPrice:price} is outside the band of {market:market}, now between"
        " {lowest:price} and {highest:price}: sign an order inside it"
    ),
    "OpenInterestAboveCap": (
        "open interest of {market:market} would be {openInterest:base}, above its cap {cap:base}:"
        " trade at least {excess:base} less"
    ),
    "PositionBelowMinimum": (
        "account {account:account} would be left with a position of {size:base} in"
        " {market:market}, below the minimum {minimum:base}: trade more, or close it whole"
    ),
    "RiskIsPaused": (
        "{market:market} is paused: positions can only be reduced until it is resumed"
    ),
    "SideOnlyReduces": (
        "the {longs:side} of {market:market} were deleveraged so far that positions can only be"
        " reduced until the side is empty"
    ),
    "TooManyMarkets": (
        "account {account:account} is in as many markets as one account may be: close a position,"
        " or use another subaccount"
    ),
    "ReportTooLong": "the report names {markets} markets, {maximum} at most are possible",
    "ZeroAmount": "the amount is zero: give a positive one",
    "ZeroAccount": "the account has no owner: give an address other than zero",
    "ZeroAddress": "the address is zero: give another one",
    "NotOwner": "{caller} does not own account {account:account}: use its owner's account",
    "WrongAmountReceived": (
        "the token delivered {received:assets} instead of {expected:assets}: a token that takes a"
        " fee on transfer cannot be used"
    ),
    "UnknownMarket": "there is no market {market}: `ape run markets` lists them",
    "NotFlat": (
        "account {account:account} would be credited above zero: this is a defect, please report"
    ),
    # fair windows
    "NoFairWindow": "no fair window is open: no claim waits, there is nothing to close",
    "FairWindowIsOpen": (
        "fair window {window} is not closed: anybody may close it from {closesAt:time} on"
    ),
    "FundDidNotPay": (
        "the fund's token refuses to be paid out, so the claims of {market:market} stay open: close"
        " the window when the token moves again"
    ),
    "NoWindowClaim": (
        "account {account:account} has nothing to get back in {market:market} of fair window"
        " {window}, or has got it already"
    ),
    # orders
    "OrderExpired": "the order expired at {expiry:time}: its owner has to sign a new one",
    "NonceUsed": (
        "nonce {nonce} of account {account:account} is filled or cancelled: sign with another one"
    ),
    "NonceBelowMinimum": (
        "nonce {nonce} of account {account:account} was cancelled with all below {minimumNonce}:"
        " sign with a larger one"
    ),
    "NonceTooLarge": "nonce {nonce} has more than 64 bits: use a smaller one",
    "MinimumNonceNotRaised": (
        "the smallest usable nonce is {current} already: give a number above it"
    ),
    "InvalidSignature": (
        "the signature is not that of {owner}: sign as the account's owner, for this network and"
        " this deployment, and change nothing afterwards"
    ),
    "SameAccount": "account {account:account} is on both sides: use two accounts",
    "NothingToFill": "nothing is left of the order, or the size is zero",
    "DifferentMarkets": (
        "the orders are for {first:market} and {second:market}: both must be for the same market"
    ),
    "SameSide": "both orders buy, or both sell: one of each is needed",
    "NotCrossing": (
        "the orders do not cross: the buyer pays at most {buyLimit:price}, the seller wants at"
        " least {sellLimit:price}"
    ),
    "NothingToReduce": (
        "account {account:account} has no position in {market:market} that this reduce-only order"
        " could reduce"
    ),
    # liquidation
    "NotLiquidatable": (
        "account {account:account} is healthy: equity {equity:money} covers its maintenance margin"
        " {maintenanceMargin:money}; there is nothing to do"
    ),
    "StillLiquidatable": (
        "account {account:account} is still below maintenance margin: equity {equity:money} of"
        " {maintenanceMargin:money}; its clock goes on until it deposits or is liquidated"
    ),
    "Bankrupt": (
        "account {account:account} is bankrupt (equity {equity:money}): only a close-out helps"
    ),
    "NotBankrupt": (
        "account {account:account} is not bankrupt (equity {equity:money}): liquidate positions"
        " instead of closing it out"
    ),
    "NoPosition": "account {account:account} has no position in {market:market}",
    "LimitPrice": (
        "the take-over price is {price:price}, worse than the limit {limit:price}: wait for a"
        " larger discount, or accept a worse price"
    ),
    "TooEarly": (
        "account {account:account} can be deleveraged from {earliest:time} on, counted from its"
        " flag: flag it if nobody has, and wait"
    ),
    "NothingFilled": (
        "none of the orders could be filled: they must be on the right side, at an acceptable"
        " price, unexpired and not used up"
    ),
    "OrdersAndSignatures": "{orders} orders but {signatures} signatures: give one each",
    "StepTooSmall": (
        "{base:base} is too little, or would leave too little: the smallest position is"
        " {minBase:base}; take more"
    ),
    "BackstopFull": (
        "the backstop takes nothing of {market:market} now: wait for deleverageDelay after the"
        " flag and deleverage, or take the position over"
    ),
    "NoInventory": "the backstop has no position in {market:market}",
    "InventoryHolds": (
        "the inventory of {market:market} is not to be torn up: its cushion {cushion:money} still"
        " covers its maintenance margin {maintenanceMargin:money_up}"
    ),
    # backstop
    "InvalidCaps": "{field} of the backstop of {market:market} is not allowed: see"
    " docs/parameters.md",
    "NothingToDeploy": (
        "nothing can be deployed in {market:market}: its capital cap is reached or unset, or the"
        " fund's compartment, reserve or draw limits leave nothing"
    ),
    "NothingToRelease": (
        "nothing can be released from {market:market}: there is no more than its capital cap, or"
        " its inventory or locked profit needs it"
    ),
    "DeficitOpen": "losses of {market:market} wait for the fund's money: repay them first",
    "NotInventory": "only the claimant's backstop may do this, not {caller:who}",
    # fund
    "NotClaimant": "{caller:who} is not registered with the fund",
    "ReserveTooSmall": (
        "{available:assets} of the reserve are surplus that may leave now, not"
        " {requested:assets}: release less, or wait (docs/fund.md says what surplus is)"
    ),
    "BackingTooSmall": (
        "the second slice holds {available:assets}, not {requested:assets}: release less"
    ),
    "UnknownReceipt": (
        "event {eventId} has no such receipt on record: take it from the event ReceiptRecorded;"
        " what only compartments and reserve paid goes back by funding those"
    ),
    "AboveLoss": "only {open:assets} of the event are not recovered yet, not {assets:assets}",
    "NothingToCollect": "nothing has come back for {holder:who} of loss {era}, part {part}",
    "Sanctioned": "{who:who} is on the sanctions list: it may not bring money in",
    "ShortfallOpen": "a shortfall is known to be open: nothing leaves the fund until it is over",
    "AboveCompartmentCap": (
        "the compartment has room for {room:assets}, not {requested:assets}: give less, or fund"
        " the reserve"
    ),
    "AboveMaximum": "{value} is above the maximum {maximum}",
    "NoShortfall": "{claimant:who} has no unpaid loss in {market:market}: nothing to report",
    "NotFund": "only the fund may do this, not {caller:who}",
    "NotController": "{caller:who} is neither {controller:who} nor its operator",
    "ZeroAssets": "the amount is zero: give a positive one",
    "ZeroShares": "the amount is worth no share: give a larger one",
    "AboveCap": "there is room for {room:assets} of stake, not {assets:assets}: stake less",
    "InvalidTerms": "{field} is not allowed: see docs/parameters.md and docs/reinsurance.md",
    "NotClaimable": (
        "{shares} shares were asked of request {requestId} of {controller:who}, and {claimable} can"
        " be claimed now: wait until it has matured"
    ),
    "PreviewUnknown": "nobody knows before maturity what a request will pay",
    "NotTranche": "only the staked tranche may do this, not {caller:who}",
    "InvalidLimits": "the limit {field} is not allowed: see docs/parameters.md",
    # reinsurance
    "NotReinsurer": "{caller:who} is not the fund's reinsurer: `setReinsurer` says who is",
    "InvalidReinsurer": (
        "{reinsurer:who} cannot be the reinsurer: a contract outside of the deployment's lock is"
        " needed, or the zero address for none"
    ),
    "PremiumTooSmall": (
        "the budget for premiums holds {available:assets}, not {requested:assets}: add to it"
        " (`fundPremium`), or wait for income"
    ),
    "AbovePremiumCap": (
        "the budget for premiums has room for {room:assets}, not {requested:assets}: give less"
    ),
    "UnknownSeries": "there is no series {series}: `ape run crash_put` lists them",
    "WrongState": (
        "series {series} is {state:series}, and this cannot be done then: `ape run crash_put` shows"
        " what can"
    ),
    "AboveSize": "the series has room for {room:assets}, not {requested:assets}: write less",
    "TooManyActive": (
        "{market:market} has as many running series as it may: settle an expired one first"
    ),
    "BelowStartPrice": (
        "the index is {indexPrice:price}, below the series' start price {startPrice:price}: it can"
        " be activated when the price is back, or is cancelled"
    ),
    "NothingToWithdraw": "{underwriter:who} has nothing in series {series}",
    "NothingToDeliver": "nothing is owed to the fund",
    "UnsupportedFund": "there is no fund at {fund}",
    "UnsupportedOracle": "there is no price oracle at {oracle}",
    # parameters
    "InvalidParameter": (
        "parameter {field} of {market:market} is not allowed: see docs/parameters.md"
    ),
    "InvalidFeedConfig": (
        "{field} of the feeds of {market:market} is not allowed: see docs/parameters.md"
    ),
    "InvalidSequencerConfig": "{field} of the sequencer is not allowed: see docs/parameters.md",
    "NotTighter(uint256,string)": (
        "{field} of {market:market} would get looser: the guardian only tightens; loosening is"
        " scheduled by the role with a delay"
    ),
    "NotTighter": (
        "{field} would get looser: the guardian only tightens; loosening is scheduled by the role"
        " with a delay"
    ),
    "EnvelopeViolated": (
        "an account in {market:market} could lose {neededPpm:percent} between two looks, more than"
        " the maintenance margin {maintenanceMarginPpm:percent}: raise that, or lower mark speed,"
        " check interval or liquidation costs"
    ),
    "InvalidCurve": (
        "a surcharge curve from {cap:base} down to {floor:base} times the base is none: the cap is"
        " at least 1 and at most 1,000, the floor at most 1"
    ),
    "NoCoverTerms": (
        "the terms of {market:market} do not follow the fund: set its cover terms first"
    ),
    "NotReporter": "{caller:who} is no reporter of the risk oracle",
    "TooManyReporters": "the risk oracle has as many reporters as it can hold: remove one first",
    "TargetTooSmall": "a target of {target:assets} is below the smallest, {minimum:assets}",
    "InvalidRules": "the risk oracle's rule {field} is not allowed: see docs/parameters.md",
    "NoCode": "there is no contract at {part:who}",
    "UnsupportedAsset": (
        "{asset:who} cannot be used ({reason}): a plain ERC-20 of 6 to 18 decimals is needed"
    ),
    # roles
    "AccessManagedUnauthorized": (
        "{caller:who} does not hold the role this function needs: docs/governance.md lists them"
    ),
    "AccessManagedRequiredDelay": (
        "{caller:who} may do this only after a delay of {delay:duration}: schedule it, then execute"
    ),
    "AccessManagedInvalidAuthority": "there is no authority at {authority}",
    "AccessManagerAlreadyScheduled": (
        "this very call is scheduled already: execute it when it is due, or cancel it"
    ),
    "AccessManagerNotScheduled": (
        "this call was not scheduled, or was executed or cancelled: schedule it first"
    ),
    "AccessManagerNotReady": "this call is scheduled, but its delay is not over: wait",
    "AccessManagerExpired": (
        "this call could have been executed until a week after its delay: schedule it again"
    ),
    "AccessManagerUnauthorizedAccount": "{msgsender:who} does not hold the role {roleId:role}",
    "AccessManagerUnauthorizedCall": (
        "{caller:who} may not call this function of {target:who}, not even after a delay: use the"
        " account that holds its role (docs/governance.md)"
    ),
    "AccessManagerUnauthorizedCancel": (
        "{msgsender:who} may not cancel what {caller:who} scheduled: the guardian or an admin may"
    ),
    "AccessManagerUnauthorizedConsume": "{target:who} may not do this itself",
    "AccessManagerBadConfirmation": "a role can only be renounced by its holder",
    "AccessManagerInvalidInitialAdmin": "the first admin may not be the zero address",
    "AccessManagerLockedFunction": "this function cannot be given to a role",
    "AccessManagerLockedRole": "the role {roleId:role} cannot be changed",
    # between the contracts: a user sees these only after calling what is not meant for users
    "NotSettlement": "only the order settlement may do this, not {caller:who}",
    "NotLiquidator": "only the liquidator may do this, not {caller:who}",
    "NotSelf": "only the fund itself may do this, not {caller:who}",
    "NotMember": "only contracts of the deployment may do this, not {caller:who}",
    "NotHolder": "only the holder of the lock may do this, not {caller:who}",
    "NotALock": "there is no lock at {lock}",
    "NotAContract": "there is no contract at {where}: deploy the engine, fund and oracle first",
    "Locked": "{holder:who} is at work: ask again after its transaction",
    "NotEnoughGas": (
        "the transaction's gas limit is too low: {available} left where {required} are needed;"
        " send it with more"
    ),
    # libraries
    "SafeERC20FailedOperation": (
        "{token:who} refused a transfer: look at balance, approval and blocklists"
    ),
    "SafeCastOverflowedIntDowncast": "a number is too large for {bits} bits",
    "SafeCastOverflowedUintDowncast": "a number is too large for {bits} bits",
    "AddressEmptyCode": "there is no contract at {target}",
    "FailedCall": "the called contract failed without a reason",
    "InsufficientBalance": "{balance} wei are there, {needed} wei are needed",
    "ERC2612ExpiredSignature": "the permit has expired: sign a new one",
    "ERC2612InvalidSigner": "the permit is signed by {signer}, not by {owner}",
    "InvalidAccountNonce": "the permit of {account} was used already: sign with {currentNonce}",
    "ECDSAInvalidSignature": "the signature is not valid",
    "ECDSAInvalidSignatureLength": "the signature has a wrong length",
    "ECDSAInvalidSignatureS": "the signature is not in its normal form",
    "ReentrancyGuardReentrantCall": "the contract is at work: ask again after its transaction",
    "InvalidShortString": "a text is not valid",
    "StringTooLong": "a text is too long",
    # the token, as OpenZeppelin writes it
    "ERC20InsufficientAllowance": (
        "{spender:who} may take {allowance:assets} but needs {needed:assets}: approve more"
    ),
    "ERC20InsufficientBalance": (
        "{sender:who} has {balance:assets} but needs {needed:assets}: {missing:assets} are missing"
    ),
    "ERC20InvalidApprover": "the zero address cannot approve",
    "ERC20InvalidReceiver": "{receiver} cannot receive tokens",
    "ERC20InvalidSender": "{sender} cannot send tokens",
    "ERC20InvalidSpender": "{spender} cannot be approved",
    "Broken": "the mock feed is set to fail",
    # Solidity's own
    "Error": "the contract says: {message}",
    "Panic": "the contract failed ({meaning}): this is a defect, please report",
    "Halted": "the transaction stopped: {reason}",
    "": "the contract refused without a reason (a wrong address, or a token of the old kind)",
}
"""By the error's name; where two errors share it, the one with more arguments by its signature."""

_DERIVED: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Any]]]] = {
    "InsufficientMargin": ("missing", lambda a: a["required"] - a["equity"]),
    "OpenInterestAboveCap": ("excess", lambda a: a["openInterest"] - a["cap"]),
    "ERC20InsufficientBalance": ("missing", lambda a: a["needed"] - a["balance"]),
    "PriceNotUsable": ("signature", lambda a: "uint256,uint8,uint8" if "validity" in a else ""),
    "NotTighter": ("signature", lambda a: "uint256,string" if "market" in a else ""),
}
"""What a sentence says besides the error's own arguments."""


def explain(error: Reverted, words: Words | None = None) -> str:
    """A contract's refusal as a sentence; an unknown error as name and arguments."""
    arguments = dict(error.arguments)
    try:
        if error.name in _DERIVED:
            key, derive = _DERIVED[error.name]
            arguments[key] = derive(arguments)
        signature = f"{error.name}({arguments.get('signature')})"
        template = _SENTENCES.get(signature) or _SENTENCES[error.name]
        return _Sentence(words or Words()).vformat(template, (), arguments)
    except (KeyError, TypeError, ValueError, IndexError):
        # nobody knows it, or it is another contract's error of the same name
        return f"the contract refused: {error}"


def register_all(registry: AbiRegistry, artifacts: ArtifactSource) -> None:
    """Teach a client every error and event of a deployment, whichever contract is called."""
    for artifact in (*ARTIFACTS.values(), "MockToken", "MockFeed"):
        registry.add(contract_abi(artifacts, artifact))
