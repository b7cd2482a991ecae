// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ExchangeErrors} from "../errors/ExchangeErrors.sol";
import {RouterErrors} from "../errors/RouterErrors.sol";
import {IPool} from "../interfaces/IPool.sol";
import {INativeBridge, Native} from "./Native.sol";

/// @title Swaps across the chains, at the native chain's own pool
///
///     from Ethereum   deliver, release    bridge opens the packet: its tokens come here
///                     swapOpened          pool swaps them for the receiver, bridge settles: received
///                                         or all of that is undone, and bridge takes them back: expired
///     to Ethereum     swapAndSend         caller's tokens, pool, bridge's packet: all or nothing
///
/// @notice Anybody may call it. It calls three modules and one pool, all at fixed addresses, and nothing that
/// a packet or a caller names. No storage, no owner, no switch, no upgrade. It holds nothing between two
/// transactions; what somebody gives it unasked stays there for ever, and changes nothing.
/// @dev A genesis file places this code as it is. It has no `receive`: the pool and the bridge move coin by
/// the books of the modules, which call nobody.
contract SwapRouter is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice A packet's tokens were swapped; its receiver has the other token.
    event Swapped(uint64 indexed sequence, address indexed receiver, uint256 amountIn, uint256 amountOut);
    /// @notice A packet's tokens were not swapped, and go home. `reason` is the error's selector, zero if it
    /// had none.
    event SwapRefused(uint64 indexed sequence, bytes4 reason);
    /// @notice Somebody swapped, and what came of it is on its way to Ethereum.
    event SwappedAndSent(
        uint64 indexed sequence,
        address indexed sender,
        address indexed tokenIn,
        uint256 amountIn,
        uint256 amountOut
    );

    /// @notice What each swap of a packet may use, settling it included. Neither less nor more, so that
    /// whether it succeeds does not depend on who delivers with how much gas.
    uint256 public constant SWAP_GAS = 600_000;
    /// @notice What must be left besides: for the part of a call's gas that its caller keeps (a 64th), and to
    /// settle a swap that failed.
    uint256 public constant SETTLE_GAS = 300_000;

    INativeBridge private constant BRIDGE = INativeBridge(Native.BRIDGE);
    IPool private constant POOL = IPool(Native.POOL);

    /// @notice The bridge's `deliver`, in which transfers with a swap take effect too.
    function deliver(uint64, bytes[] calldata, INativeBridge.StorageItem[] calldata) external nonReentrant {
        _askBridge();
        _settleOpened();
    }

    /// @notice The bridge's `release`, for a transfer with a swap too.
    function release(bytes calldata) external nonReentrant {
        _askBridge();
        _settleOpened();
    }

    /// @notice Swaps the caller's tokens and sends what comes of it to Ethereum, in one.
    /// @param tokenIn The coin, sent along as value, or points, by an allowance for this contract.
    /// @param leastOut What must come of it at least, in the other token's smallest unit.
    /// @param swapDeadline Last second at which the call is good.
    /// @param receiver On Ethereum.
    /// @param packetDeadline Last second, in Ethereum's block time, at which it may be received. What is not
    /// is refunded to the caller, on this chain and in the token that was sent.
    function swapAndSend(
        address tokenIn,
        uint256 amountIn,
        uint256 leastOut,
        uint64 swapDeadline,
        address receiver,
        uint64 packetDeadline
    ) external payable nonReentrant returns (uint256 out, uint64 sequence) {
        if (tokenIn == Native.COIN) {
            _requireValue(amountIn);
        } else if (tokenIn == Native.POINTS) {
            _requireValue(0);
            _takePoints(amountIn);
        } else {
            revert ExchangeErrors.TokenUnknown(tokenIn);
        }
        return _swapAndSend(tokenIn, amountIn, leastOut, swapDeadline, receiver, packetDeadline);
    }

    /// @notice `swapAndSend` of points, with the allowance for it: an EIP-2612 permit for `amountIn` until
    /// `swapDeadline`.
    function swapAndSendWithPermit(
        uint256 amountIn,
        uint256 leastOut,
        uint64 swapDeadline,
        address receiver,
        uint64 packetDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (uint256 out, uint64 sequence) {
        // Whoever saw the permit may have used it already; then the allowance is there.
        try IERC20Permit(Native.POINTS).permit(msg.sender, address(this), amountIn, swapDeadline, v, r, s) {}
            catch {}
        _takePoints(amountIn);
        return _swapAndSend(Native.POINTS, amountIn, leastOut, swapDeadline, receiver, packetDeadline);
    }

    /// @notice One opened packet's swap. Only the router itself calls it, so that a swap that fails is undone
    /// whole: the allowance, the trade, and the outcome.
    function swapOpened(INativeBridge.Opened calldata one) external returns (uint256 out) {
        if (msg.sender != address(this)) {
            revert RouterErrors.OnlyRouter(msg.sender);
        }
        // What this contract gets, nobody could take out.
        if (one.receiver == address(this)) {
            revert ExchangeErrors.ReceiverInvalid(one.receiver);
        }
        out = _swap(one.token, one.amount, one.least, one.receiver, block.timestamp);
        BRIDGE.settle(one.sequence, true);
    }

    /// @dev The very call that came in, at the bridge: the same function with the same arguments.
    function _askBridge() private {
        Address.functionCall(Native.BRIDGE, msg.data);
    }

    /// @dev Gives every opened packet its one outcome.
    function _settleOpened() private {
        INativeBridge.Opened[] memory all = BRIDGE.opened();
        for (uint256 i = 0; i < all.length; ++i) {
            INativeBridge.Opened memory one = all[i];
            uint256 left = gasleft();
            if (left < SWAP_GAS + SETTLE_GAS) {
                revert RouterErrors.GasTooLittle(left, SWAP_GAS + SETTLE_GAS);
            }
            try this.swapOpened{gas: SWAP_GAS}(one) returns (uint256 out) {
                emit Swapped(one.sequence, one.receiver, one.amount, out);
            } catch (bytes memory reason) {
                // forge-lint: disable-next-line(unsafe-typecast)
                bytes4 selector = bytes4(reason); // its first four bytes are meant
                if (selector == ReentrancyGuardReentrantCall.selector) {
                    revert RouterErrors.PoolBusy();
                }
                BRIDGE.settle(one.sequence, false);
                emit SwapRefused(one.sequence, selector);
            }
        }
    }

    /// @dev All or nothing: what the bridge refuses to send was not swapped either.
    function _swapAndSend(
        address tokenIn,
        uint256 amountIn,
        uint256 leastOut,
        uint64 swapDeadline,
        address receiver,
        uint64 packetDeadline
    ) private returns (uint256 out, uint64 sequence) {
        out = _swap(tokenIn, amountIn, leastOut, address(this), swapDeadline);
        (address tokenOut, uint256 value) = tokenIn == Native.COIN ? (Native.POINTS, 0) : (Native.COIN, out);
        sequence = BRIDGE.sendFor{value: value}(tokenOut, receiver, out, packetDeadline, msg.sender);
        emit SwappedAndSent(sequence, msg.sender, tokenIn, amountIn, out);
        // The packet must not have used what the pool needs in another second.
        uint256 kept = POOL.keptGas();
        if (gasleft() < kept) {
            revert ExchangeErrors.GasTooLittle(gasleft(), kept);
        }
    }

    /// @dev Swaps what this contract has just been given.
    function _swap(address tokenIn, uint256 amountIn, uint256 leastOut, address receiver, uint256 deadline)
        private
        returns (uint256)
    {
        if (tokenIn == Native.COIN) {
            return POOL.exactIn{value: amountIn}(tokenIn, amountIn, leastOut, receiver, deadline);
        }
        IERC20(tokenIn).forceApprove(Native.POOL, amountIn);
        return POOL.exactIn(tokenIn, amountIn, leastOut, receiver, deadline);
    }

    /// @dev Exactly so many, so that nothing but the caller's is swapped.
    function _takePoints(uint256 amount) private {
        IERC20 points = IERC20(Native.POINTS);
        uint256 before = points.balanceOf(address(this));
        points.safeTransferFrom(msg.sender, address(this), amount);
        uint256 moved = points.balanceOf(address(this)) - before;
        if (moved != amount) {
            revert ExchangeErrors.AmountMoved(Native.POINTS, amount, moved);
        }
    }

    function _requireValue(uint256 expected) private view {
        if (msg.value != expected) {
            revert ExchangeErrors.ValueWrong(msg.value, expected);
        }
    }
}
