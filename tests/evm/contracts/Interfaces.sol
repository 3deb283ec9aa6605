// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.30;

/// What the stage's contracts call of ERC-20 tokens. Amounts are of 1e-6, as everywhere here.
interface IErc20 {
    function balanceOf(address owner) external view returns (uint256);
    function approve(address spender, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// What they call of Gnosis's ConditionalTokens. The contract itself is the published one.
interface IConditionalTokens {
    function prepareCondition(address oracle, bytes32 questionId, uint256 outcomes) external;
    function reportPayouts(bytes32 questionId, uint256[] calldata payouts) external;
    function splitPosition(
        address collateral, bytes32 parent, bytes32 conditionId, uint256[] calldata partition, uint256 amount
    ) external;
    function mergePositions(
        address collateral, bytes32 parent, bytes32 conditionId, uint256[] calldata partition, uint256 amount
    ) external;
    function redeemPositions(
        address collateral, bytes32 parent, bytes32 conditionId, uint256[] calldata indexSets
    ) external;
    function balanceOf(address owner, uint256 id) external view returns (uint256);
    function isApprovedForAll(address owner, address operator) external view returns (bool);
    function setApprovalForAll(address operator, bool approved) external;
    function safeTransferFrom(address from, address to, uint256 id, uint256 value, bytes calldata data) external;
    function safeBatchTransferFrom(
        address from, address to, uint256[] calldata ids, uint256[] calldata values, bytes calldata data
    ) external;
    function getConditionId(address oracle, bytes32 questionId, uint256 outcomes) external view returns (bytes32);
    function getCollectionId(bytes32 parent, bytes32 conditionId, uint256 indexSet) external view returns (bytes32);
    function getPositionId(address collateral, bytes32 collectionId) external view returns (uint256);
}

/// What a contract needs that holds outcome tokens.
abstract contract Holder {
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC1155Received.selector;
    }

    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        return this.onERC1155BatchReceived.selector;
    }
}

/// Both outcomes of a binary condition, in their order: slot 0 (YES), slot 1 (NO).
library Outcomes {
    function both() internal pure returns (uint256[] memory) {
        return pair(1, 2);
    }

    function pair(uint256 first, uint256 second) internal pure returns (uint256[] memory values) {
        values = new uint256[](2);
        (values[0], values[1]) = (first, second);
    }

    function same(uint256 count, uint256 value) internal pure returns (uint256[] memory values) {
        values = new uint256[](count);
        for (uint256 i; i < count; ++i) values[i] = value;
    }

    /// The id of one outcome over that collateral; the contract's own answer.
    function id(IConditionalTokens tokens, address collateral, bytes32 conditionId, uint256 indexSet)
        internal
        view
        returns (uint256)
    {
        return tokens.getPositionId(collateral, tokens.getCollectionId(bytes32(0), conditionId, indexSet));
    }

    function ids(IConditionalTokens tokens, address collateral, bytes32 conditionId)
        internal
        view
        returns (uint256[] memory)
    {
        return pair(id(tokens, collateral, conditionId, 1), id(tokens, collateral, conditionId, 2));
    }

    function balances(IConditionalTokens tokens, address owner, uint256[] memory of_)
        internal
        view
        returns (uint256[] memory)
    {
        return pair(tokens.balanceOf(owner, of_[0]), tokens.balanceOf(owner, of_[1]));
    }
}
