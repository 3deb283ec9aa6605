// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.30;

import {Holder, IConditionalTokens, IErc20, Outcomes} from "./Interfaces.sol";
import {NegRiskAdapter} from "./NegRisk.sol";
import {Pusd, Ramp} from "./Tokens.sol";

/// What wallets call to split, merge and redeem with pUSD. ConditionalTokens sees this contract and bridged USDC, so the
/// stakeholder in its events is the adapter, and the wallet shows only in the transfers.
contract CollateralAdapter is Holder {
    IConditionalTokens public immutable tokens;
    Pusd public immutable pusd;
    IErc20 public immutable usdc;

    constructor(IConditionalTokens tokens_, Pusd pusd_) {
        (tokens, pusd, usdc) = (tokens_, pusd_, pusd_.asset());
        usdc.approve(address(tokens_), type(uint256).max);
    }

    // The first, second and fourth argument are ConditionalTokens' own and stay unused, as in the real contract.

    function splitPosition(address, bytes32, bytes32 conditionId, uint256[] calldata, uint256 amount) external {
        pusd.transferFrom(msg.sender, address(pusd), amount);
        pusd.unwrap(address(this), amount);
        _split(conditionId, amount);
        uint256[] memory amounts = Outcomes.same(2, amount);
        tokens.safeBatchTransferFrom(address(this), msg.sender, _ids(conditionId), amounts, "");
    }

    function mergePositions(address, bytes32, bytes32 conditionId, uint256[] calldata, uint256 amount) external {
        uint256[] memory amounts = Outcomes.same(2, amount);
        tokens.safeBatchTransferFrom(msg.sender, address(this), _ids(conditionId), amounts, "");
        _merge(conditionId, amount);
        _pay(msg.sender, amount);
    }

    /// Takes all the wallet has of both outcomes, so the batch has a zero where it has only one of them.
    function redeemPositions(address, bytes32, bytes32 conditionId, uint256[] calldata) external {
        uint256[] memory ids = _ids(conditionId);
        uint256[] memory amounts = Outcomes.balances(tokens, msg.sender, ids);
        tokens.safeBatchTransferFrom(msg.sender, address(this), ids, amounts, "");
        _redeem(conditionId, amounts);
        _pay(msg.sender, usdc.balanceOf(address(this)));
    }

    function _pay(address to, uint256 amount) internal {
        usdc.transfer(address(pusd), amount);
        pusd.wrap(to, amount);
    }

    function _ids(bytes32 conditionId) internal view virtual returns (uint256[] memory) {
        return Outcomes.ids(tokens, address(usdc), conditionId);
    }

    function _split(bytes32 conditionId, uint256 amount) internal virtual {
        tokens.splitPosition(address(usdc), bytes32(0), conditionId, Outcomes.both(), amount);
    }

    function _merge(bytes32 conditionId, uint256 amount) internal virtual {
        tokens.mergePositions(address(usdc), bytes32(0), conditionId, Outcomes.both(), amount);
    }

    function _redeem(bytes32 conditionId, uint256[] memory) internal virtual {
        tokens.redeemPositions(address(usdc), bytes32(0), conditionId, Outcomes.both());
    }
}

/// The same for neg-risk markets, beneath it the neg-risk adapter; and conversion, whose cash is paid in pUSD.
contract NegRiskCollateralAdapter is CollateralAdapter {
    NegRiskAdapter public immutable negRisk;

    constructor(IConditionalTokens tokens_, Pusd pusd_, NegRiskAdapter negRisk_) CollateralAdapter(tokens_, pusd_) {
        negRisk = negRisk_;
        usdc.approve(address(negRisk_), type(uint256).max);
        tokens_.setApprovalForAll(address(negRisk_), true);
    }

    function convertPositions(bytes32 marketId, uint256 indexSet, uint256 amount) external {
        uint256[] memory given = negRisk.positions(marketId, indexSet, false);
        tokens.safeBatchTransferFrom(msg.sender, address(this), given, Outcomes.same(given.length, amount), "");
        negRisk.convertPositions(marketId, indexSet, amount);
        uint256 others = ((1 << negRisk.getQuestionCount(marketId)) - 1) ^ indexSet;
        uint256[] memory yes = negRisk.positions(marketId, others, true);
        uint256 out = amount - amount * negRisk.getFeeBips(marketId) / 10_000;
        tokens.safeBatchTransferFrom(address(this), msg.sender, yes, Outcomes.same(yes.length, out), "");
        uint256 cash = usdc.balanceOf(address(this));
        if (cash > 0) _pay(msg.sender, cash);
    }

    function _ids(bytes32 conditionId) internal view override returns (uint256[] memory) {
        return Outcomes.ids(tokens, address(negRisk.wcol()), conditionId);
    }

    function _split(bytes32 conditionId, uint256 amount) internal override {
        negRisk.splitPosition(conditionId, amount);
    }

    function _merge(bytes32 conditionId, uint256 amount) internal override {
        negRisk.mergePositions(conditionId, amount);
    }

    function _redeem(bytes32 conditionId, uint256[] memory amounts) internal override {
        negRisk.redeemPositions(conditionId, amounts);
    }
}

/// Redeems for holders that approved it, when its operator chooses; what comes out goes to the holder, in pUSD.
contract AutoRedeemer is Holder {
    IConditionalTokens public immutable tokens;
    IErc20 public immutable usdc;
    Ramp public immutable ramp;
    NegRiskAdapter public immutable negRisk;

    event BinaryRedemption(address indexed from, bytes32 indexed conditionId, uint256 payout);
    event NegRiskRedemption(address indexed from, bytes32 indexed conditionId, uint256 payout);

    constructor(IConditionalTokens tokens_, Ramp ramp_, NegRiskAdapter negRisk_) {
        (tokens, usdc, ramp, negRisk) = (tokens_, ramp_.pusd().asset(), ramp_, negRisk_);
        usdc.approve(address(ramp_), type(uint256).max);
        tokens_.setApprovalForAll(address(negRisk_), true);
    }

    function redeemBinary(address from, bytes32 conditionId) external {
        _take(from, conditionId, address(usdc));
        tokens.redeemPositions(address(usdc), bytes32(0), conditionId, Outcomes.both());
        emit BinaryRedemption(from, conditionId, _pay(from));
    }

    function redeemNegRisk(address from, bytes32 conditionId) external {
        negRisk.redeemPositions(conditionId, _take(from, conditionId, address(negRisk.wcol())));
        emit NegRiskRedemption(from, conditionId, _pay(from));
    }

    function _take(address from, bytes32 conditionId, address collateral) private returns (uint256[] memory amounts) {
        uint256[] memory ids = Outcomes.ids(tokens, collateral, conditionId);
        amounts = Outcomes.balances(tokens, from, ids);
        tokens.safeBatchTransferFrom(from, address(this), ids, amounts, "");
    }

    function _pay(address to) private returns (uint256 payout) {
        payout = usdc.balanceOf(address(this));
        if (payout > 0) ramp.wrap(address(usdc), to, payout);
    }
}
