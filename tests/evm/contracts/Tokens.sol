// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.30;

import {IErc20} from "./Interfaces.sol";

/// An ERC-20 token of 6 decimals. Who deployed it may mint.
contract Token is IErc20 {
    uint8 public constant decimals = 6;
    address public immutable owner = msg.sender;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    modifier onlyOwner() {
        require(msg.sender == owner, "only the owner");
        _;
    }

    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        _approve(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        if (allowance[from][msg.sender] != type(uint256).max) allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function _approve(address from, address spender, uint256 amount) internal {
        allowance[from][spender] = amount;
        emit Approval(from, spender, amount);
    }

    function _move(address from, address to, uint256 amount) internal {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }

    function _mint(address to, uint256 amount) internal {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function _burn(address from, uint256 amount) internal {
        balanceOf[from] -= amount;
        emit Transfer(from, address(0), amount);
    }
}

/// Bridged USDC (USDC.e), inside the ids of standard markets. As on Polygon, spending an allowance logs what is left
/// of it: real receipts have an Approval after such a Transfer.
contract BridgedUsdc is Token {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        uint256 left = allowance[from][msg.sender] - amount;
        _move(from, to, amount);
        _approve(from, msg.sender, left);
        return true;
    }
}

/// pUSD: minted and burned one to one against bridged USDC that lies in a vault. The asset, or the pUSD, has to be here
/// before the call, as for the real one.
contract Pusd is Token {
    IErc20 public immutable asset;
    address public immutable vault;

    event Wrapped(address indexed caller, address indexed asset, address indexed to, uint256 amount);
    event Unwrapped(address indexed caller, address indexed asset, address indexed to, uint256 amount);

    constructor(IErc20 asset_, address vault_) {
        (asset, vault) = (asset_, vault_);
    }

    function wrap(address to, uint256 amount) external {
        _mint(to, amount);
        asset.transfer(vault, amount);
        emit Wrapped(msg.sender, address(asset), to, amount);
    }

    function unwrap(address to, uint256 amount) external {
        asset.transferFrom(vault, to, amount);
        _burn(address(this), amount);
        emit Unwrapped(msg.sender, address(asset), to, amount);
    }
}

/// The permissionless way between bridged USDC and pUSD; the real one is a pair, Onramp and Offramp.
contract Ramp {
    Pusd public immutable pusd;

    constructor(Pusd pusd_) {
        pusd = pusd_;
    }

    function wrap(address, address to, uint256 amount) external {
        pusd.asset().transferFrom(msg.sender, address(pusd), amount);
        pusd.wrap(to, amount);
    }

    function unwrap(address, address to, uint256 amount) external {
        pusd.transferFrom(msg.sender, address(pusd), amount);
        pusd.unwrap(to, amount);
    }
}

/// Wrapped collateral (WCOL), inside the ids of neg-risk markets. Its owner, the neg-risk adapter, can mint without
/// backing for a conversion, and release backing that a conversion set free.
contract WrappedCollateral is Token {
    IErc20 public immutable underlying;

    constructor(IErc20 underlying_) {
        underlying = underlying_;
    }

    function wrap(address to, uint256 amount) external {
        underlying.transferFrom(msg.sender, address(this), amount);
        _mint(to, amount);
    }

    function unwrap(address to, uint256 amount) external {
        _burn(msg.sender, amount);
        underlying.transfer(to, amount);
    }

    function release(address to, uint256 amount) external onlyOwner {
        underlying.transfer(to, amount);
    }
}
