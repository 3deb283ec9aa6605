// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.30;

import {Holder, IConditionalTokens, IErc20, Outcomes} from "./Interfaces.sol";
import {WrappedCollateral} from "./Tokens.sol";

/// The neg-risk adapter: an event is a group of binary questions over wrapped collateral, of which at most one is
/// answered YES. It is the oracle of its conditions, and the stakeholder in what ConditionalTokens logs beneath it.
contract NegRiskAdapter is Holder {
    struct Group {
        address oracle;
        uint256 feeBips;
        uint256 questions;
        bool answered;
    }

    /// Where the NO tokens of conversions end; nobody has its key.
    address public constant BURN = address(bytes20(keccak256("NO_TOKEN_BURN_ADDRESS")));
    uint256 private constant ALL_BIPS = 10_000;

    IConditionalTokens public immutable tokens;
    IErc20 public immutable collateral;
    WrappedCollateral public immutable wcol;
    address public immutable feeVault;
    mapping(bytes32 => Group) private groups;

    event MarketPrepared(bytes32 indexed marketId, address indexed oracle, uint256 feeBips, bytes data);
    event QuestionPrepared(bytes32 indexed marketId, bytes32 indexed questionId, uint256 index, bytes data);
    event OutcomeReported(bytes32 indexed marketId, bytes32 indexed questionId, bool outcome);
    event PositionSplit(address indexed stakeholder, bytes32 indexed conditionId, uint256 amount);
    event PositionsMerge(address indexed stakeholder, bytes32 indexed conditionId, uint256 amount);
    event PayoutRedemption(address indexed redeemer, bytes32 indexed conditionId, uint256[] amounts, uint256 payout);
    event PositionsConverted(
        address indexed stakeholder, bytes32 indexed marketId, uint256 indexed indexSet, uint256 amount
    );

    constructor(IConditionalTokens tokens_, IErc20 collateral_, address feeVault_) {
        (tokens, collateral, feeVault) = (tokens_, collateral_, feeVault_);
        wcol = new WrappedCollateral(collateral_);
        collateral_.approve(address(wcol), type(uint256).max);
        wcol.approve(address(tokens_), type(uint256).max);
    }

    // Questions and answers

    function prepareMarket(uint256 feeBips, bytes calldata data) external returns (bytes32 marketId) {
        require(feeBips <= ALL_BIPS, "fee above all");
        marketId = keccak256(abi.encode(msg.sender, feeBips, data)) & ~bytes32(uint256(0xff));
        require(groups[marketId].oracle == address(0), "prepared already");
        groups[marketId] = Group(msg.sender, feeBips, 0, false);
        emit MarketPrepared(marketId, msg.sender, feeBips, data);
    }

    function prepareQuestion(bytes32 marketId, bytes calldata data) external returns (bytes32 questionId) {
        Group storage group = groups[marketId];
        require(group.oracle == msg.sender, "only its oracle");
        uint256 index = group.questions++;
        questionId = _question(marketId, index);
        tokens.prepareCondition(address(this), questionId, 2);
        emit QuestionPrepared(marketId, questionId, index, data);
    }

    function reportOutcome(bytes32 questionId, bool outcome) external {
        bytes32 marketId = questionId & ~bytes32(uint256(0xff));
        Group storage group = groups[marketId];
        require(group.oracle == msg.sender, "only its oracle");
        require(!(outcome && group.answered), "another question was answered YES");
        if (outcome) group.answered = true;
        tokens.reportPayouts(questionId, outcome ? Outcomes.pair(1, 0) : Outcomes.pair(0, 1));
        emit OutcomeReported(marketId, questionId, outcome);
    }

    // Positions of one question

    function splitPosition(bytes32 conditionId, uint256 amount) external {
        collateral.transferFrom(msg.sender, address(this), amount);
        wcol.wrap(address(this), amount);
        tokens.splitPosition(address(wcol), bytes32(0), conditionId, Outcomes.both(), amount);
        uint256[] memory amounts = Outcomes.same(2, amount);
        tokens.safeBatchTransferFrom(address(this), msg.sender, _ids(conditionId), amounts, "");
        emit PositionSplit(msg.sender, conditionId, amount);
    }

    function mergePositions(bytes32 conditionId, uint256 amount) external {
        uint256[] memory amounts = Outcomes.same(2, amount);
        tokens.safeBatchTransferFrom(msg.sender, address(this), _ids(conditionId), amounts, "");
        tokens.mergePositions(address(wcol), bytes32(0), conditionId, Outcomes.both(), amount);
        wcol.unwrap(msg.sender, amount);
        emit PositionsMerge(msg.sender, conditionId, amount);
    }

    function redeemPositions(bytes32 conditionId, uint256[] calldata amounts) external {
        tokens.safeBatchTransferFrom(msg.sender, address(this), _ids(conditionId), amounts, "");
        tokens.redeemPositions(address(wcol), bytes32(0), conditionId, Outcomes.both());
        uint256 payout = wcol.balanceOf(address(this));
        if (payout > 0) wcol.unwrap(msg.sender, payout);
        emit PayoutRedemption(msg.sender, conditionId, amounts, payout);
    }

    // Conversion

    /// NO of the m questions in the set become YES of all others and m - 1 of collateral, each less the fee.
    function convertPositions(bytes32 marketId, uint256 indexSet, uint256 amount) external {
        uint256 questions = groups[marketId].questions;
        require(questions > 1 && indexSet != 0 && indexSet >> questions == 0, "no such questions");
        uint256[] memory given = positions(marketId, indexSet, false);
        uint256 others = ((1 << questions) - 1) ^ indexSet;
        uint256[] memory yes = positions(marketId, others, true);
        _splitUnbacked(marketId, others, amount);
        tokens.safeBatchTransferFrom(msg.sender, BURN, given, Outcomes.same(given.length, amount), "");
        uint256[] memory burned = Outcomes.same(yes.length, amount);
        tokens.safeBatchTransferFrom(address(this), BURN, positions(marketId, others, false), burned, "");
        uint256 fee = amount * groups[marketId].feeBips / ALL_BIPS;
        if (given.length > 1) {
            if (fee > 0) wcol.release(feeVault, (given.length - 1) * fee);
            wcol.release(msg.sender, (given.length - 1) * (amount - fee));
        }
        if (yes.length > 0) {
            if (fee > 0) _give(feeVault, yes, fee);
            _give(msg.sender, yes, amount - fee);
        }
        emit PositionsConverted(msg.sender, marketId, indexSet, amount);
    }

    /// YES and NO of the other questions, from wrapped collateral that nothing backs: their NO are burned.
    function _splitUnbacked(bytes32 marketId, uint256 indexSet, uint256 amount) private {
        wcol.mint(address(this), _count(indexSet) * amount);
        for (uint256 index; indexSet >> index != 0; ++index) {
            if (indexSet >> index & 1 == 0) continue;
            bytes32 conditionId = tokens.getConditionId(address(this), _question(marketId, index), 2);
            tokens.splitPosition(address(wcol), bytes32(0), conditionId, Outcomes.both(), amount);
        }
    }

    function _give(address to, uint256[] memory ids, uint256 amount) private {
        tokens.safeBatchTransferFrom(address(this), to, ids, Outcomes.same(ids.length, amount), "");
    }

    // What others read

    function getQuestionCount(bytes32 marketId) external view returns (uint256) {
        return groups[marketId].questions;
    }

    function getFeeBips(bytes32 marketId) external view returns (uint256) {
        return groups[marketId].feeBips;
    }

    /// Ids of one outcome of the questions in the set, in the order of the questions.
    function positions(bytes32 marketId, uint256 indexSet, bool yes) public view returns (uint256[] memory ids) {
        ids = new uint256[](_count(indexSet));
        uint256 found;
        for (uint256 index; indexSet >> index != 0; ++index) {
            if (indexSet >> index & 1 == 0) continue;
            bytes32 conditionId = tokens.getConditionId(address(this), _question(marketId, index), 2);
            ids[found++] = Outcomes.id(tokens, address(wcol), conditionId, yes ? 1 : 2);
        }
    }

    function _ids(bytes32 conditionId) private view returns (uint256[] memory) {
        return Outcomes.ids(tokens, address(wcol), conditionId);
    }

    function _question(bytes32 marketId, uint256 index) private pure returns (bytes32) {
        return marketId | bytes32(index);
    }

    function _count(uint256 indexSet) private pure returns (uint256 count) {
        for (; indexSet != 0; indexSet >>= 1) count += indexSet & 1;
    }
}
