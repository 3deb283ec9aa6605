// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.30;

import {Holder} from "./Interfaces.sol";

/// A wallet that is a contract, as Polymarket's are: it can do several things in one transaction, sent by anybody.
contract Account is Holder {
    function run(address[] calldata targets, bytes[] calldata calls) external {
        for (uint256 i; i < targets.length; ++i) {
            (bool done,) = targets[i].call(calls[i]);
            require(done, "a call of the account was reverted");
        }
    }
}
