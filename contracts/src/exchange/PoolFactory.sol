// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ExchangeErrors} from "../errors/ExchangeErrors.sol";
import {IPoints, Native} from "./Native.sol";
import {Pool} from "./Pool.sol";

/// @title Makes pools, one for each two tokens
/// @notice Anybody may make one. It touches no other pool, and the platform's price comes from the chain's
/// own pool alone, which the genesis file places beside this code.
///
///     slot
///     0   pools made here, in order
///     1   pool by token 0, by token 1 (the lower address first)
///
/// @dev Nothing is immutable and there is no constructor: the genesis file places this code as it is.
contract PoolFactory {
    /// @notice A pool stands.
    event PoolCreated(address indexed token0, address indexed token1, address pool);

    /// @notice Most pools that one page lists.
    uint256 public constant MAX_PAGE = 256;

    address[] private _pools;
    mapping(address token0 => mapping(address token1 => address)) private _poolOf;

    /// @notice Makes the pool of two tokens. Both must have code. A pool of points can be made only where
    /// the genesis file exempts its address (`predict`) from the points' own fee.
    function create(address tokenA, address tokenB) external returns (address pool) {
        (address token0, address token1) = _sorted(tokenA, tokenB);
        if (token0.code.length == 0) {
            revert ExchangeErrors.TokenWithoutCode(token0);
        }
        if (token1.code.length == 0) {
            revert ExchangeErrors.TokenWithoutCode(token1);
        }
        address old = poolOf(token0, token1);
        if (old != address(0)) {
            revert ExchangeErrors.PoolExists(old);
        }
        pool = address(new Pool{salt: 0}(token0, token1));
        bool charges =
            token0 == Native.POINTS && IPoints(token0).transferFee(pool, msg.sender, type(uint112).max) != 0;
        if (charges) {
            revert ExchangeErrors.PointsCharge(pool);
        }
        _pools.push(pool);
        _poolOf[token0][token1] = pool;
        emit PoolCreated(token0, token1, pool);
    }

    /// @notice The pool of two tokens, in either order; zero if there is none.
    function poolOf(address tokenA, address tokenB) public view returns (address) {
        (address token0, address token1) = _sorted(tokenA, tokenB);
        if (token0 == Native.POINTS && token1 == Native.COIN) {
            return Native.POOL;
        }
        return _poolOf[token0][token1];
    }

    /// @notice Where the pool of two tokens is, or will be.
    function predict(address tokenA, address tokenB) external view returns (address) {
        (address token0, address token1) = _sorted(tokenA, tokenB);
        if (token0 == Native.POINTS && token1 == Native.COIN) {
            return Native.POOL;
        }
        bytes32 code = keccak256(abi.encodePacked(type(Pool).creationCode, abi.encode(token0, token1)));
        return
            address(
                uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), code))))
            );
    }

    /// @notice How many pools there are, and up to `limit` (at most 256) of them from `offset` on. The
    /// chain's own pool is the first.
    function pools(uint256 offset, uint256 limit)
        external
        view
        returns (uint256 count, address[] memory page)
    {
        count = _pools.length + 1;
        uint256 left = offset < count ? count - offset : 0;
        limit = limit < MAX_PAGE ? limit : MAX_PAGE;
        page = new address[](left < limit ? left : limit);
        for (uint256 i = 0; i < page.length; ++i) {
            uint256 index = offset + i;
            page[i] = index == 0 ? Native.POOL : _pools[index - 1];
        }
    }

    function _sorted(address tokenA, address tokenB) private pure returns (address, address) {
        if (tokenA == tokenB) {
            revert ExchangeErrors.TokenTwice(tokenA);
        }
        return tokenA < tokenB ? (tokenA, tokenB) : (tokenB, tokenA);
    }
}
