"""A real EVM node with real contracts: anvil, Gnosis's ConditionalTokens, ERC-20 collateral and Multicall3.

The binaries and built contracts are npm packages, named with versions and hashes in ``tests/evm/package-lock.json``;
they are installed on first use. What the tests then do with a market stands in ``tests/evm``.

| package | what of it | licence |
|---|---|---|
| ``@foundry-rs/anvil-linux-amd64`` | the node | MIT or Apache-2.0 |
| ``@gnosis.pm/conditional-tokens-contracts`` | ``ConditionalTokens``, as deployed on Polygon | LGPL-3.0 |
| ``openzeppelin-solidity`` | ``ERC20Mintable``, in the place of pUSD and both USDC forms | MIT |
| ``solc`` | the compiler of the contracts in ``tests/evm/contracts`` | MIT; the compiler in it GPL-3.0 |
| ``viem`` | creation code of ``Multicall3`` (``multicall3Bytecode``) | MIT |
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eth_typing import ChecksumAddress
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.types import RPCEndpoint, TxParams, TxReceipt

HOME = Path(__file__).parents[1] / "evm"
CHAIN_ID = 31_337
MULTICALL = Web3.to_checksum_address("0xcA11bde05977b3631167028862bE2a173976CA11")
INSTALL_WITHIN_S = 300
START_WITHIN_S = 30
MINED_WITHIN_S = 30
GAS = 6_000_000
"""For every transaction: an estimate would be made before the transactions it depends on are in a block."""
BLOCK_A_SECOND = ("--block-time=1",)
BLOCKS_ON_REQUEST = ("--no-mining", "--accounts=200", "--gas-limit=1000000000")
"""Blocks come when a test asks for them, and hold as many transactions as were sent."""

GENESIS = ("conditional_tokens", "pusd", "usdc_e", "wrapped_collateral")
"""Deployed first, and in one block."""


class EvmUnavailable(Exception):
    """The node or its contracts cannot be had here; the text says why and which Debian package would help."""


def install() -> Path:
    """``node_modules`` as the lock file wants it; set up with npm where it is not. Raises :class:`EvmUnavailable`."""
    modules = HOME / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((HOME / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return modules
    npm = shutil.which("npm")
    if npm is None:
        raise EvmUnavailable("npm was not found, which brings the EVM node. On Debian: apt install npm")
    sys.stderr.write("setup: npm ci in tests/evm: an EVM node and built contracts\n")
    try:
        done = subprocess.run(
            [npm, "ci"], cwd=HOME, capture_output=True, check=False, text=True, timeout=INSTALL_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        raise EvmUnavailable(
            f"npm ci in tests/evm had not ended after {INSTALL_WITHIN_S} s; is its registry up?"
        ) from None
    if done.returncode != 0:
        said = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.startswith("npm error ")]
        why = "; ".join(said[:2]) or f"exit {done.returncode}"
        raise EvmUnavailable(
            f"npm ci in tests/evm failed ({why}); can npm reach its registry, and is this Linux on x86-64?"
        )
    stamp.write_text(wanted, encoding="ascii")
    return modules


@dataclass(frozen=True)
class Artifacts:
    """What the packages hold."""

    modules: Path

    @property
    def anvil(self) -> Path:
        """The node's executable."""
        return self.modules / "@foundry-rs/anvil-linux-amd64/bin/anvil"

    @property
    def conditional_tokens(self) -> dict[str, Any]:
        """ABI and creation code."""
        return _built(self.modules / "@gnosis.pm/conditional-tokens-contracts", "ConditionalTokens")

    @property
    def erc20(self) -> dict[str, Any]:
        """ABI and creation code of a token that its deployer can mint. ERC-20 amounts have no scale on chain."""
        return _built(self.modules / "openzeppelin-solidity", "ERC20Mintable")

    @property
    def multicall(self) -> str:
        """Creation code."""
        script = f"require({json.dumps(str(self.modules / 'viem/_cjs/constants/contracts.js'))}).multicall3Bytecode"
        return subprocess.run(
            ["node", "--print", script], capture_output=True, text=True, check=True, timeout=START_WITHIN_S
        ).stdout.strip()


def _built(package: Path, name: str) -> dict[str, Any]:
    built = json.loads((package / f"build/contracts/{name}.json").read_text(encoding="utf-8"))
    return {"abi": built["abi"], "bytecode": built["bytecode"]}


class EvmNode:
    """A chain of its own on a free port, contracts deployed: ``with EvmNode(install()) as node``.

    The accounts are the node's own, unlocked and rich in gas; ``accounts[0]`` deployed the contracts and mints.
    """

    def __init__(self, modules: Path, blocks: Sequence[str] = BLOCK_A_SECOND) -> None:
        """``modules`` is what :func:`install` gave, ``blocks`` says when they are made; nothing is started yet."""
        self._artifacts = Artifacts(modules)
        self._blocks = tuple(blocks)
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._port = 0
        self._listening = threading.Event()
        self._addresses: dict[str, ChecksumAddress] = {}

    def __enter__(self) -> Self:
        command = [str(self._artifacts.anvil), *self._blocks, "--port=0", "--order=fifo", f"--chain-id={CHAIN_ID}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        try:
            self._await_listening()
            self._deploy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the node; what it said last stays readable in a failure's traceback."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Read what the node says to its end, so that it never waits for us; the port stands in one line of it."""
        with process.stdout or io.StringIO() as lines:
            for line in lines:
                self._said.append(line.strip())
                if line.startswith("Listening on "):
                    self._port = int(line.rpartition(":")[2])
                    self._listening.set()
        self._listening.set()

    def _await_listening(self) -> None:
        self._listening.wait(START_WITHIN_S)
        if not self._port:
            raise RuntimeError(f"anvil did not listen within {START_WITHIN_S} s; it said: {' | '.join(self._said)}")

    @property
    def url(self) -> str:
        """Where it speaks JSON-RPC."""
        return f"http://127.0.0.1:{self._port}"

    @cached_property
    def web3(self) -> Web3:
        """A client that asks what it is told to, and not first for the chain's id and the gas price of the day."""
        web3 = Web3(HTTPProvider(self.url, cache_allowed_requests=True, cacheable_requests={"eth_chainId"}))
        web3.middleware_onion.remove("gas_price_strategy")
        return web3

    @cached_property
    def accounts(self) -> Sequence[ChecksumAddress]:
        """Unlocked accounts."""
        return tuple(self.web3.eth.accounts)

    def rpc(self, method: str, *params: object) -> Any:
        """The result of a call that web3 has no method for."""
        answer = self.web3.provider.make_request(RPCEndpoint(method), list(params))
        if "error" in answer:
            raise RuntimeError(f"{method}: the node answered {answer['error']}")
        return answer["result"]

    def address(self, name: str) -> ChecksumAddress:
        """Address of one of :data:`GENESIS`."""
        return self._addresses[name]

    @cached_property
    def conditional_tokens(self) -> Contract:
        """The ERC-1155 contract that splits and merges."""
        return self._contract(self._artifacts.conditional_tokens, "conditional_tokens")

    def erc20(self, name: str) -> Contract:
        """One of the three collateral tokens."""
        return self._contract(self._artifacts.erc20, name)

    def _contract(self, built: dict[str, Any], name: str) -> Contract:
        return self.web3.eth.contract(address=self._addresses[name], abi=built["abi"])

    def run(self, *calls: tuple[ChecksumAddress, Any]) -> list[TxReceipt]:
        """Send what each account wants to call, in that order; returns when all is in blocks. A revert is an error."""
        hashes = [self.send(sender, call) for sender, call in calls]
        if self._blocks == BLOCKS_ON_REQUEST:
            self.rpc("evm_mine")
        receipts = [
            self.web3.eth.wait_for_transaction_receipt(each, timeout=MINED_WITHIN_S, poll_latency=0.05)
            for each in hashes
        ]
        for (sender, call), receipt in zip(calls, receipts, strict=True):
            if receipt["status"] != 1:
                raise RuntimeError(f"{call} of {sender} was reverted in block {receipt['blockNumber']}")
        return receipts

    def send(self, sender: ChecksumAddress, call: Any) -> HexBytes:
        """Hash of the transaction, which waits for its block."""
        return HexBytes(call.transact(_transaction(sender)))

    def _deploy(self) -> None:
        """Everything from one account; Multicall3's code then also stands where every chain has it."""
        deployer = self.accounts[0]
        tokens, erc20 = self._artifacts.conditional_tokens, self._artifacts.erc20
        multicall = {"abi": [], "bytecode": self._artifacts.multicall}
        built = (tokens, erc20, erc20, erc20, multicall)
        receipts = self.run(*((deployer, self.web3.eth.contract(**each).constructor()) for each in built))
        found = [_created(receipt) for receipt in receipts]
        self._addresses = dict(zip(GENESIS, found, strict=False))
        self.rpc("anvil_setCode", MULTICALL, self.web3.eth.get_code(found[-1]).to_0x_hex())

    def reorganise(self, blocks: int) -> None:
        """Put as many empty blocks, of other hashes, in the place of the newest ones."""
        self.rpc("anvil_reorg", blocks, [])


def _transaction(sender: ChecksumAddress) -> TxParams:
    return {"from": sender, "gas": GAS}


def _created(receipt: TxReceipt) -> ChecksumAddress:
    address = receipt["contractAddress"]
    if address is None:
        raise RuntimeError(f"the transaction in block {receipt['blockNumber']} created no contract")
    return address


def required() -> bool:
    """Whether a missing node is a failure, as in the whole check (``.ci/run``), and not a test that does not run."""
    return os.environ.get("PORTFOLIO_SYNC_REQUIRE_EVM") == "1"
