// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.30;

import {CollateralAdapter} from "./Adapters.sol";
import {Holder, IConditionalTokens, Outcomes} from "./Interfaces.sol";
import {Pusd} from "./Tokens.sol";

/// The exchange as its receipts show it (CLOB V2): tokens and pUSD move, and the events have the real shapes and order.
/// Prices, signatures and what is left of an order are nobody's business here: whoever calls says what is filled.
contract Exchange is Holder {
    /// One order's part in a match. BUY (0) gives pUSD for shares, SELL (1) shares for pUSD; the fee is in pUSD.
    struct Filled {
        bytes32 orderHash;
        address maker;
        uint8 side;
        uint256 tokenId;
        uint256 making;
        uint256 taking;
        uint256 fee;
    }

    uint8 private constant BUY = 0;

    IConditionalTokens public immutable tokens;
    Pusd public immutable pusd;
    /// Makes outcome tokens of pUSD, and pUSD of them, where two orders want the same side of opposite outcomes.
    CollateralAdapter public immutable factory;
    address public immutable feeReceiver;

    event OrderFilled(
        bytes32 indexed orderHash,
        address indexed maker,
        address indexed taker,
        uint8 side,
        uint256 tokenId,
        uint256 makerAmountFilled,
        uint256 takerAmountFilled,
        uint256 fee,
        bytes32 builder,
        bytes32 metadata
    );
    event OrdersMatched(
        bytes32 indexed takerOrderHash,
        address indexed takerOrderMaker,
        uint8 side,
        uint256 tokenId,
        uint256 makerAmountFilled,
        uint256 takerAmountFilled
    );
    event FeeCharged(address indexed receiver, uint256 amount);

    constructor(IConditionalTokens tokens_, Pusd pusd_, CollateralAdapter factory_, address feeReceiver_) {
        (tokens, pusd, factory, feeReceiver) = (tokens_, pusd_, factory_, feeReceiver_);
        pusd_.approve(address(factory_), type(uint256).max);
        tokens_.setApprovalForAll(address(factory_), true);
    }

    /// One taker order against maker orders: directly between the wallets where all makers are on the other side, else
    /// through this contract, which then splits or merges once for all of them.
    function matchOrders(bytes32 conditionId, Filled calldata taker, Filled[] calldata makers) external {
        bool direct = true;
        for (uint256 i; i < makers.length; ++i) direct = direct && makers[i].side != taker.side;
        if (direct) _betweenWallets(taker, makers);
        else _throughHere(conditionId, taker, makers);
    }

    // Directly (COMPLEMENTARY)

    function _betweenWallets(Filled calldata taker, Filled[] calldata makers) private {
        uint256 fees = taker.fee;
        for (uint256 i; i < makers.length; ++i) {
            Filled calldata maker = makers[i];
            if (taker.side == BUY) {
                _moveTokens(maker.maker, taker.maker, maker.tokenId, maker.making);
                _charge(maker.fee);
                pusd.transferFrom(taker.maker, maker.maker, maker.taking - maker.fee);
            } else {
                _moveTokens(taker.maker, maker.maker, maker.tokenId, maker.taking);
                pusd.transferFrom(maker.maker, address(this), maker.making + maker.fee);
                _charge(maker.fee);
            }
            fees += maker.fee;
            _logFill(maker, taker.maker, maker.taking);
        }
        _charge(taker.fee);
        if (taker.side != BUY) pusd.transfer(taker.maker, taker.taking - taker.fee);
        _logTaker(taker, taker.taking);
        if (fees == 0) return;
        if (taker.side == BUY) pusd.transferFrom(taker.maker, feeReceiver, fees);
        else pusd.transfer(feeReceiver, fees);
    }

    // Through this contract (MINT, MERGE, and mixed)

    function _throughHere(bytes32 conditionId, Filled calldata taker, Filled[] calldata makers) private {
        _collect(taker);
        uint256 before = _held(taker);
        uint256 opposite;
        for (uint256 i; i < makers.length; ++i) {
            _collect(makers[i]);
            if (makers[i].side == taker.side) opposite += taker.side == BUY ? makers[i].taking : makers[i].making;
        }
        if (taker.side == BUY) factory.splitPosition(address(pusd), bytes32(0), conditionId, Outcomes.both(), opposite);
        else factory.mergePositions(address(pusd), bytes32(0), conditionId, Outcomes.both(), opposite);
        uint256 fees;
        for (uint256 i; i < makers.length; ++i) {
            _distribute(makers[i], taker.maker);
            fees += makers[i].fee;
        }
        if (taker.side == BUY) _settleBuyer(taker, fees, before);
        else _settleSeller(taker, fees, before);
    }

    function _collect(Filled calldata order) private {
        if (order.side == BUY) pusd.transferFrom(order.maker, address(this), order.making + order.fee);
        else _moveTokens(order.maker, address(this), order.tokenId, order.making);
    }

    function _distribute(Filled calldata maker, address taker) private {
        if (maker.side == BUY) _moveTokens(address(this), maker.maker, maker.tokenId, maker.taking);
        else pusd.transfer(maker.maker, maker.taking - maker.fee);
        _charge(maker.fee);
        _logFill(maker, taker, maker.taking);
    }

    /// What the taker's order brought is what this contract has more of; pUSD that no maker needed goes back.
    function _settleBuyer(Filled calldata taker, uint256 makerFees, uint256 before) private {
        _charge(taker.fee);
        if (makerFees + taker.fee > 0) pusd.transfer(feeReceiver, makerFees + taker.fee);
        uint256 shares = _held(taker) - before;
        _moveTokens(address(this), taker.maker, taker.tokenId, shares);
        uint256 unused = pusd.balanceOf(address(this));
        if (unused > 0) pusd.transfer(taker.maker, unused);
        _logTaker(taker, shares);
    }

    function _settleSeller(Filled calldata taker, uint256 makerFees, uint256 before) private {
        if (makerFees > 0) pusd.transfer(feeReceiver, makerFees);
        uint256 proceeds = _held(taker) - before;
        pusd.transfer(taker.maker, proceeds - taker.fee);
        _charge(taker.fee);
        _logTaker(taker, proceeds);
        if (taker.fee > 0) pusd.transfer(feeReceiver, taker.fee);
    }

    // Both ways

    /// How much is here of what the taker is to receive.
    function _held(Filled calldata taker) private view returns (uint256) {
        return taker.side == BUY ? tokens.balanceOf(address(this), taker.tokenId) : pusd.balanceOf(address(this));
    }

    function _moveTokens(address from, address to, uint256 id, uint256 amount) private {
        tokens.safeTransferFrom(from, to, id, amount, "");
    }

    function _charge(uint256 fee) private {
        if (fee > 0) emit FeeCharged(feeReceiver, fee);
    }

    function _logFill(Filled calldata order, address counterparty, uint256 taking) private {
        emit OrderFilled(
            order.orderHash, order.maker, counterparty, order.side, order.tokenId, order.making, taking, order.fee, 0, 0
        );
    }

    /// The taker's own order names this contract as its taker, which tells the role.
    function _logTaker(Filled calldata taker, uint256 taking) private {
        _logFill(taker, address(this), taking);
        emit OrdersMatched(taker.orderHash, taker.maker, taker.side, taker.tokenId, taker.making, taking);
    }
}
