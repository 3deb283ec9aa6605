"""Reader of the chain: all balances of a wallet at one pinned block (D-09, D-28, R-31). The only file that knows web3.

Sans-I/O: web3's codec writes and reads the calls, the driver carries them. Amounts need no conversion: pUSD, bridged
USDC, wrapped collateral and outcome tokens all count in 1e-6.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from eth_abi.exceptions import DecodingError
from web3 import Web3

from messages.reads import BalancesAnswer, ReadBalances
from polymarket import chain_words
from polymarket.chain_calls import WORD, Call, shards
from polymarket.chain_memory import ChainMemory
from polymarket.id_checks import IdChecks
from polymarket.payloads import MAX_MICRO
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, conclude
from polymarket.requests import HttpRequest, HttpResponse, ReadError, Steps
from polymarket.rpc import (
    Block,
    RpcRefusal,
    block_request,
    chain_id_request,
    expect_chain,
    expect_result,
    parse_block,
    parse_data,
    result_or_refusal,
    rpc_request,
)
from polymarket.settings import PolymarketSettings
from portfolio.facts import Balances, CollateralBalance, FailureKind, Payout, QuestionCount, Source, TokenBalance

_CODEC = Web3().codec
READS_MAX = 3
"""Times that a block is pinned and read: a node at its head runs a call at another block now and then."""
_PACKED_MAX = 8
_SLOTS = (0, 1)


def _selector(signature: str) -> bytes:
    return bytes(Web3.keccak(text=signature)[:4])


_AGGREGATE = _selector("aggregate3((address,bool,bytes)[])")
_BLOCK_NUMBER = _selector("getBlockNumber()")
_BALANCE_OF = _selector("balanceOf(address)")
_BALANCE_OF_BATCH = _selector("balanceOfBatch(address[],uint256[])")
_PAYOUT_DENOMINATOR = _selector("payoutDenominator(bytes32)")
_PAYOUT_NUMERATOR = _selector("payoutNumerators(bytes32,uint256)")
_QUESTION_COUNT = _selector("getQuestionCount(bytes32)")


def read_balances(
    settings: PolymarketSettings, read: ReadBalances, context: ReadContext, memory: ChainMemory
) -> Steps[ReadResult]:
    """Collateral, outcome tokens, payouts and question counts at one block; nothing of it from another block.

    Chain id and the contracts' code are checked before they are first believed, and again after any failure.
    """

    def body(trace: Trace) -> Steps[Findings]:
        try:
            return (yield from _balances(trace, settings, read, memory))
        except ReadError:
            memory.forget()
            raise

    return conclude(Source.CHAIN_BALANCES, context, body)


def _balances(trace: Trace, settings: PolymarketSettings, read: ReadBalances, memory: ChainMemory) -> Steps[Findings]:
    for _ in range(READS_MAX):
        block = yield from _pin(trace, settings, read, memory)
        found = yield from _values(trace, settings, read, block, memory)
        if found is not None:
            return _findings(read, block, found)
    detail = f"{READS_MAX} times the multicall ran at another block than the one pinned; is the RPC split?"
    raise ReadError(FailureKind.MALFORMED, detail)


def _findings(read: ReadBalances, block: Block, found: tuple[_Plan, list[Any]]) -> Findings:
    plan, values = found
    balances = plan.balances(block, values)
    return Findings(
        rows=(
            *balances.collateral,
            *balances.tokens,
            *balances.payouts,
            *balances.question_counts,
            *balances.token_ids,
        ),
        answer=BalancesAnswer(balances=balances),
        parameters=(("wallet", read.wallet), ("address", plan.owner), ("tokens", str(len(read.tokens)))),
        block_number=block.number,
        block_hash=block.hash,
        block_time_ms=block.time_ms,
    )


def _values(
    trace: Trace, settings: PolymarketSettings, read: ReadBalances, block: Block, memory: ChainMemory
) -> Steps[tuple[_Plan, list[Any]] | None]:
    """The results of all calls at the block, in one multicall or in halves; None where it ran at another block.

    A call at the block's hash cannot be answered from another block. Where the RPC does not take a hash, the call goes
    by number, and the block's hash is looked up again afterwards. Where an RPC refuses so much, balances come first:
    checks of token ids are left for another time, and fewer at once.
    """
    by_hash = memory.by_hash
    while True:
        plan = _Plan(settings, read, memory)
        found = yield from _aggregate(trace, settings, plan.calls, _At(block, by_hash, memory.batch))
        if found is None:
            return None
        if not isinstance(found, RpcRefusal):
            break
        if by_hash:
            by_hash = False
        elif plan.id_checks.calls:
            memory.id_checks //= 2
            read = msgspec.structs.replace(read, token_ids_of=())
        elif memory.batch > 1 and sum(call.weight for call in plan.calls) > 1:
            memory.batch = max(1, min(memory.batch, sum(call.weight for call in plan.calls)) // 2)
        else:
            raise found.as_error()
    memory.by_hash = by_hash
    if not by_hash:
        after = yield from _known_block(trace, settings, hex(block.number))
        if after.hash != block.hash:
            raise ReadError(FailureKind.REFUSED, f"block {block.number} was replaced while it was read; read again")
    return plan, found


def _pin(trace: Trace, settings: PolymarketSettings, read: ReadBalances, memory: ChainMemory) -> Steps[Block]:
    """The block to read at; what must be verified first is asked for in the same round."""
    checks = _checks(settings, read, memory)
    tag = _first_tag(settings, read, memory)
    request = block_request(settings.rpc_url, tag)
    responses = yield from trace.ask_all((request, *checks.values()))
    _judge(settings, memory, checks, responses[1:])
    block = parse_block(request, responses[0])
    if tag == "finalized" and block is None:
        memory.finalized = False
        tag = "latest"
        block = yield from _block(trace, settings, tag)
    if block is None:
        raise ReadError(FailureKind.REFUSED, f"block {tag} is not known to the RPC; is it behind, or pruned?")
    back = settings.fallback_confirmations if settings.confirmations is None else settings.confirmations
    if tag == "latest" and back:
        older = hex(max(0, block.number - back))
        block = yield from _known_block(trace, settings, older)
    if read.block_hash is not None and block.hash != read.block_hash.lower():
        raise ReadError(FailureKind.REFUSED, f"block {block.number} was replaced since it was pinned; pin another one")
    return block


def _first_tag(settings: PolymarketSettings, read: ReadBalances, memory: ChainMemory) -> str:
    if read.block_number is not None:
        return hex(read.block_number)
    return "finalized" if settings.confirmations is None and memory.finalized else "latest"


def _checks(settings: PolymarketSettings, read: ReadBalances, memory: ChainMemory) -> dict[str, HttpRequest]:
    """Requests still needed before the chain is believed: by contract address, and "" for the chain id."""
    needed = [settings.multicall, *(address for _, address in settings.collateral_buckets)]
    needed += [token.contract for token in read.tokens]
    needed += [settings.neg_risk_adapter] if read.question_counts_of else []
    needed += [settings.conditional_tokens] if read.payouts_of or read.token_ids_of else []
    unseen = dict.fromkeys(address.lower() for address in needed if address.lower() not in memory.verified)
    checks = {address: rpc_request(settings.rpc_url, "eth_getCode", address, "latest") for address in unseen}
    if memory.chain_id is None:
        checks[""] = chain_id_request(settings.rpc_url)
    return checks


def _judge(
    settings: PolymarketSettings,
    memory: ChainMemory,
    checks: dict[str, HttpRequest],
    responses: Sequence[HttpResponse],
) -> None:
    answers = dict(zip(checks, responses, strict=True))
    if "" in answers:
        memory.chain_id = expect_chain(checks[""], answers.pop(""), settings.chain_id)
    for address, response in answers.items():
        if expect_result(checks[address], response) in {b'"0x"', b'""', b"null"}:
            raise ReadError(
                FailureKind.NO_CONTRACT,
                f"there was no contract at {address} on chain {settings.chain_id}; check the addresses under polygon",
            )
        memory.verified.add(address)


def _block(trace: Trace, settings: PolymarketSettings, tag: str) -> Steps[Block | None]:
    request = block_request(settings.rpc_url, tag)
    return parse_block(request, (yield from trace.ask(request)))


def _known_block(trace: Trace, settings: PolymarketSettings, tag: str) -> Steps[Block]:
    block = yield from _block(trace, settings, tag)
    if block is None:
        raise ReadError(FailureKind.REFUSED, f"block {tag} is not known to the RPC; is it behind, or pruned?")
    return block


class _Plan:
    """Which calls a read needs, and how their results become balances."""

    def __init__(self, settings: PolymarketSettings, read: ReadBalances, memory: ChainMemory) -> None:
        self.owner = settings.wallet(read.wallet).address.lower()
        self._read = read
        self._buckets = settings.collateral_buckets
        by_contract: dict[str, dict[str, None]] = {}
        for token in read.tokens:
            by_contract.setdefault(token.contract.lower(), {})[token.token_id] = None
        self._parts = [
            (contract, list(ids)[start : start + memory.batch])
            for contract, ids in by_contract.items()
            for start in range(0, len(ids), memory.batch)
        ]
        stated = read.token_ids_of[: memory.id_checks or None]
        self.id_checks = IdChecks(settings, stated, asking=memory.id_checks > 0)
        self.calls = [
            *self._collateral_calls(),
            *self._payout_calls(settings.conditional_tokens),
            *self._count_calls(settings.neg_risk_adapter),
            *self._token_calls(),
            *self.id_checks.calls,
        ]

    def _collateral_calls(self) -> list[Call]:
        data = _BALANCE_OF + bytes.fromhex(self.owner.removeprefix("0x")).rjust(WORD, b"\0")
        return [Call(name=f"balance of {name}", target=address, data=data) for name, address in self._buckets]

    def _payout_calls(self, contract: str) -> list[Call]:
        calls = []
        for condition in self._read.payouts_of:
            word = bytes.fromhex(condition.removeprefix("0x")).rjust(32, b"\0")
            calls.append(Call(name=f"payout of {condition}", target=contract, data=_PAYOUT_DENOMINATOR + word))
            for slot in _SLOTS:
                data = _PAYOUT_NUMERATOR + word + slot.to_bytes(32, "big")
                # a condition that was never prepared has no slots, and asking for one reverts
                calls.append(Call(name=f"payout of {condition}", target=contract, data=data, may_fail=True))
        return calls

    def _count_calls(self, contract: str) -> list[Call]:
        calls = []
        for market in self._read.question_counts_of:
            word = bytes.fromhex(market.removeprefix("0x")).rjust(32, b"\0")
            calls.append(Call(name=f"question count of {market}", target=contract, data=_QUESTION_COUNT + word))
        return calls

    def _token_calls(self) -> list[Call]:
        """One ``balanceOfBatch`` per contract (D-28), or per part where there are more tokens than a batch takes."""
        return [_tokens_call(contract, self.owner, tuple(ids)) for contract, ids in self._parts]

    def balances(self, block: Block, values: Sequence[Any]) -> Balances:
        """Put the results, in the order of the calls, where they belong."""
        rest = iter(values)
        collateral = tuple(CollateralBalance(name=name, amount_micro=next(rest)) for name, _ in self._buckets)
        payouts = []
        for condition in self._read.payouts_of:
            denominator, numerators = next(rest), tuple(next(rest) for _ in _SLOTS)
            if denominator:
                payouts.append(Payout(condition_id=condition, numerators=numerators, denominator=denominator))
        counts = tuple(
            QuestionCount(neg_risk_market_id=market, count=next(rest)) for market in self._read.question_counts_of
        )
        tokens = [
            TokenBalance(token_id=token, amount_micro=amount)
            for _, ids in self._parts
            for token, amount in zip(ids, next(rest), strict=True)
        ]
        return Balances(
            block_number=block.number,
            block_hash=block.hash,
            block_time_ms=block.time_ms,
            collateral=collateral,
            tokens=tuple(sorted(tokens, key=lambda balance: balance.token_id)),
            payouts=tuple(payouts),
            question_counts=counts,
            token_ids=self.id_checks.answers(rest),
        )


@lru_cache(maxsize=_PACKED_MAX)  # as below
def _tokens_call(contract: str, owner: str, ids: tuple[str, ...]) -> Call:
    # an address is encoded as the integer it is: the same bytes, in a third of the time of checked addresses
    owners = [int(owner, 16)] * len(ids)
    return Call(
        name=f"balances of {len(ids)} tokens",
        target=contract,
        data=_BALANCE_OF_BATCH + _CODEC.encode(["uint256[]", "uint256[]"], [owners, [int(token) for token in ids]]),
        returns="uint256[]",
        weight=len(ids),
    )


class _At(msgspec.Struct, frozen=True):
    """Where and how the calls run."""

    block: Block
    by_hash: bool
    batch: int

    def parameter(self) -> object:
        """The block parameter of ``eth_call``."""
        if self.by_hash:
            return {"blockHash": self.block.hash, "requireCanonical": True}
        return hex(self.block.number)


def _aggregate(
    trace: Trace, settings: PolymarketSettings, calls: Sequence[Call], at: _At
) -> Steps[list[Any] | RpcRefusal | None]:
    """Results in order, or the first refusal. Every multicall proves the block it ran at; None: it was another."""
    groups = shards(calls, at.batch)
    requests = [_multicall(settings, tuple(group), at) for group in groups]
    replies = yield from trace.try_all(requests)
    values: list[Any] = []
    for group, request, reply in zip(groups, requests, replies, strict=True):
        result = result_or_refusal(request, reply)
        if isinstance(result, RpcRefusal):
            return result
        number, *rest = _results(request, group, parse_data(request, result), settings)
        if number != at.block.number:
            return None
        values += rest
    return values


def _multicall(settings: PolymarketSettings, calls: tuple[Call, ...], at: _At) -> HttpRequest:
    target = settings.multicall.lower()
    return rpc_request(settings.rpc_url, "eth_call", {"to": target, "data": _packed(target, calls)}, at.parameter())


@lru_cache(maxsize=_PACKED_MAX)  # cycle after cycle makes the same calls, and encoding them is most of their cost
def _packed(target: str, calls: tuple[Call, ...]) -> str:
    asked = ((target, _BLOCK_NUMBER), *((call.target, call.data) for call in calls))
    packed = [(int(address, 16), True, data) for address, data in asked]  # as above
    return "0x" + (_AGGREGATE + _CODEC.encode(["(uint256,bool,bytes)[]"], [packed])).hex()


def _results(request: HttpRequest, calls: Sequence[Call], data: bytes, settings: PolymarketSettings) -> tuple[Any, ...]:
    number = Call(name="the block number", target=settings.multicall, data=_BLOCK_NUMBER)
    expected = (number, *calls)
    try:
        results = chain_words.outcomes(data)
        if results is None:
            (results,) = _CODEC.decode(["(bool,bytes)[]"], data)
        return tuple(_value(call, result) for call, result in zip(expected, results, strict=True))
    except (DecodingError, ValueError, OverflowError):
        raise ReadError(
            FailureKind.MALFORMED, f"{request.label}: the multicall's result was not what its contract returns"
        ) from None


def _value(call: Call, result: tuple[bool, bytes]) -> Any:
    """What a call returned; amounts that no wallet can hold are no amounts."""
    success, returned = result
    if call.hashed:
        return int.from_bytes(returned, "big") if success and len(returned) == WORD else 0
    if not success:
        if call.may_fail:
            return 0
        raise ReadError(
            FailureKind.NO_CONTRACT,
            f"{call.name}: the call to {call.target} reverted; check that address under polygon",
        )
    value = _returned(call.returns, returned)
    amounts = value if isinstance(value, tuple | list) else (value,)
    if len(amounts) != call.weight or any(amount > MAX_MICRO for amount in amounts):
        raise ReadError(FailureKind.MALFORMED, f"{call.name}: the result was out of range")
    return value


def _returned(kind: str, data: bytes) -> Any:
    value = (
        chain_words.number(data) if kind == "uint256" else chain_words.numbers(data) if kind == "uint256[]" else None
    )
    return _CODEC.decode([kind], data)[0] if value is None else value
