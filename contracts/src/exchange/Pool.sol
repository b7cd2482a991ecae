// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ExchangeErrors, OracleErrors} from "../errors/ExchangeErrors.sol";
import {IPool} from "../interfaces/IPool.sol";
import {Curve} from "./Curve.sol";
import {IPoints, Native} from "./Native.sol";
import {Observations} from "./Observations.sol";

/// @title A pool of two tokens on the native chain
/// @notice Constant product, 0.30 % of each trade to the providers, whose shares are this ERC-20. No owner,
/// no switch, no upgrade.
///
///     slot
///     0 - 4   OpenZeppelin's ERC-20: balances of shares, allowances, total supply, two empty words
///     5, 6    token 0, token 1
///     7       reserve 0 (112, low) ‖ reserve 1 (112)
///     8, 9    what is remembered of prices: first and next entry, entries
///
/// @dev A genesis file places this code with slots 5 and 6 set, so nothing may be immutable and the
/// constructor may do nothing else. Reserves are booked, never read from balances: a donation moves
/// nothing. Books change before tokens move, so whoever is called in between reads the books of after.
contract Pool is IPool, ERC20, ReentrancyGuardTransient {
    using Observations for Observations.Queue;
    using SafeERC20 for IERC20;

    /// @notice What a trade pays to the providers, in parts of 10,000 of what it brings.
    uint256 public constant FEE_BP = Curve.FEE_BP;
    /// @notice Shares of the first provider that nobody owns, so that the pool is never emptied again.
    uint256 public constant LOCKED_SHARES = 1_000;
    /// @notice Holds the locked shares; nobody has its key.
    address public constant LOCK = address(0xdead);
    /// @notice Gas that a call must have for noting a price, whether it notes one or not: more than that ever
    /// takes (`test/PoolGas.t.sol`).
    uint256 public constant NOTE_GAS = 125_000;

    address public token0;
    address public token1;
    uint112 private _reserve0;
    uint112 private _reserve1;
    Observations.Queue private _observations;
    /// @dev Gas that `_book` took for noting the price in the call under way.
    uint256 private transient _noteGas;

    /// @dev Good up to and including its deadline, and for a receiver who can have it. What it needs of gas
    /// does not depend on the second in which it comes.
    modifier checked(address receiver, uint256 deadline) {
        _check(receiver, deadline);
        _;
        _checkGas();
    }

    /// @param token0_ The lower address of the two; the factory sees to that.
    /// @param token1_ The higher one.
    constructor(address token0_, address token1_) ERC20("", "") {
        token0 = token0_;
        token1 = token1_;
    }

    /// @notice Name of the shares.
    function name() public pure override returns (string memory) {
        return "MileVerse Pool Share";
    }

    /// @notice Their symbol.
    function symbol() public pure override returns (string memory) {
        return "MV-POOL";
    }

    /// @inheritdoc IPool
    function exactIn(address tokenIn, uint256 amountIn, uint256 leastOut, address receiver, uint256 deadline)
        external
        payable
        nonReentrant
        checked(receiver, deadline)
        returns (uint256 amountOut)
    {
        return _exactIn(tokenIn, amountIn, leastOut, receiver);
    }

    /// @inheritdoc IPool
    function exactInWithPermit(
        address tokenIn,
        uint256 amountIn,
        uint256 leastOut,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant checked(receiver, deadline) returns (uint256 amountOut) {
        _permit(tokenIn, amountIn, deadline, v, r, s);
        return _exactIn(tokenIn, amountIn, leastOut, receiver);
    }

    /// @inheritdoc IPool
    function exactOut(address tokenIn, uint256 amountOut, uint256 mostIn, address receiver, uint256 deadline)
        external
        payable
        nonReentrant
        checked(receiver, deadline)
        returns (uint256 amountIn)
    {
        amountIn = _exactOut(tokenIn, amountOut, mostIn, receiver);
        _give(_other(tokenIn), receiver, amountOut);
    }

    /// @inheritdoc IPool
    function exactOutWithPermit(
        address tokenIn,
        uint256 amountOut,
        uint256 mostIn,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant checked(receiver, deadline) returns (uint256 amountIn) {
        _permit(tokenIn, mostIn, deadline, v, r, s);
        amountIn = _exactOut(tokenIn, amountOut, mostIn, receiver);
        _give(_other(tokenIn), receiver, amountOut);
    }

    /// @inheritdoc IPool
    function payExactPoints(address shop, uint256 points, uint256 mostIn, bytes32 memo, uint256 deadline)
        external
        payable
        nonReentrant
        checked(shop, deadline)
        returns (uint256 amountIn)
    {
        // Points have the lowest address of all tokens of the native chain.
        if (token0 != Native.POINTS) {
            revert ExchangeErrors.PointsUnknown();
        }
        amountIn = _exactOut(token1, points, mostIn, shop);
        emit Paid(msg.sender, shop, memo, points);
        IPoints token = IPoints(Native.POINTS);
        uint256 before = token.balanceOf(address(this));
        if (!token.transferWithMemo(shop, points, memo)) {
            revert SafeERC20.SafeERC20FailedOperation(address(token));
        }
        _checkGiven(token, before, points);
    }

    /// @inheritdoc IPool
    function provide(uint256 most0, uint256 most1, uint256 leastShares, address receiver, uint256 deadline)
        external
        payable
        nonReentrant
        checked(receiver, deadline)
        returns (uint256 amount0, uint256 amount1, uint256 shares)
    {
        (uint256 reserve0, uint256 reserve1) = reserves();
        uint256 supply = totalSupply();
        (amount0, amount1, shares) = quoteProvide(most0, most1);
        if (shares < leastShares) {
            revert ExchangeErrors.TooLittleOut(shares, leastShares);
        }
        if (supply == 0) {
            _mint(LOCK, LOCKED_SHARES);
        }
        _mint(receiver, shares);
        emit Provided(msg.sender, receiver, amount0, amount1, shares);
        _book(reserve0 + amount0, reserve1 + amount1);
        _take(token0, amount0, most0);
        _take(token1, amount1, most1);
        _checkValueWanted(token0 == Native.COIN || token1 == Native.COIN);
    }

    /// @inheritdoc IPool
    function withdraw(uint256 shares, uint256 least0, uint256 least1, address receiver, uint256 deadline)
        external
        nonReentrant
        checked(receiver, deadline)
        returns (uint256 amount0, uint256 amount1)
    {
        (amount0, amount1) = quoteWithdraw(shares);
        if (amount0 < least0) {
            revert ExchangeErrors.TooLittleOut(amount0, least0);
        }
        if (amount1 < least1) {
            revert ExchangeErrors.TooLittleOut(amount1, least1);
        }
        _burn(msg.sender, shares);
        emit Withdrawn(msg.sender, receiver, amount0, amount1, shares);
        (uint256 reserve0, uint256 reserve1) = reserves();
        _book(reserve0 - amount0, reserve1 - amount1);
        _give(token0, receiver, amount0);
        _give(token1, receiver, amount1);
    }

    /// @inheritdoc IPool
    function reserves() public view returns (uint256 reserve0, uint256 reserve1) {
        return (_reserve0, _reserve1);
    }

    /// @inheritdoc IPool
    function quoteExactIn(address tokenIn, uint256 amountIn)
        public
        view
        returns (uint256 amountOut, uint256 fee)
    {
        (uint256 reserveIn, uint256 reserveOut) = _reservesFrom(tokenIn);
        _fit(reserveIn, amountIn);
        amountOut = Curve.outFor(amountIn, reserveIn, reserveOut);
        if (amountOut == 0) {
            revert ExchangeErrors.AmountZero();
        }
        fee = Curve.fee(amountIn);
    }

    /// @inheritdoc IPool
    function quoteExactOut(address tokenIn, uint256 amountOut)
        public
        view
        returns (uint256 amountIn, uint256 fee)
    {
        (uint256 reserveIn, uint256 reserveOut) = _reservesFrom(tokenIn);
        if (amountOut == 0) {
            revert ExchangeErrors.AmountZero();
        }
        if (amountOut >= reserveOut) {
            revert ExchangeErrors.ReserveTooSmall(amountOut, reserveOut);
        }
        amountIn = Curve.inFor(amountOut, reserveIn, reserveOut);
        _fit(reserveIn, amountIn);
        fee = Curve.fee(amountIn);
    }

    /// @inheritdoc IPool
    function quoteProvide(uint256 most0, uint256 most1)
        public
        view
        returns (uint256 amount0, uint256 amount1, uint256 shares)
    {
        (uint256 reserve0, uint256 reserve1) = reserves();
        _fit(reserve0, most0);
        _fit(reserve1, most1);
        uint256 supply = totalSupply();
        if (supply == 0) {
            shares = Math.sqrt(most0 * most1);
            if (shares <= LOCKED_SHARES) {
                revert ExchangeErrors.FirstProvisionTooSmall(shares, LOCKED_SHARES + 1);
            }
            return (most0, most1, shares - LOCKED_SHARES);
        }
        // Rounded up: a provider never brings less than the proportion.
        (amount0, amount1) = (most0, Math.ceilDiv(most0 * reserve1, reserve0));
        if (amount1 > most1) {
            (amount0, amount1) = (Math.ceilDiv(most1 * reserve0, reserve1), most1);
        }
        shares = Math.min(Math.mulDiv(amount0, supply, reserve0), Math.mulDiv(amount1, supply, reserve1));
        if (shares == 0) {
            revert ExchangeErrors.AmountZero();
        }
    }

    /// @inheritdoc IPool
    function quoteWithdraw(uint256 shares) public view returns (uint256 amount0, uint256 amount1) {
        uint256 supply = totalSupply();
        if (supply == 0) {
            revert ExchangeErrors.PoolEmpty();
        }
        (uint256 reserve0, uint256 reserve1) = reserves();
        amount0 = Math.mulDiv(shares, reserve0, supply);
        amount1 = Math.mulDiv(shares, reserve1, supply);
        if (amount0 == 0 || amount1 == 0) {
            revert ExchangeErrors.AmountZero();
        }
    }

    /// @inheritdoc IPool
    function spot() public view returns (uint256) {
        (uint256 reserve0, uint256 reserve1) = _reservesFrom(token0);
        return Curve.price(reserve0, reserve1);
    }

    /// @inheritdoc IPool
    function average(uint256 window) external view returns (uint256 price, uint256 depth) {
        if (window == 0 || window > Observations.MAX_WINDOW) {
            revert OracleErrors.WindowOutOfRange(window);
        }
        if (window > watched()) {
            revert OracleErrors.PriceTooYoung(window, watched());
        }
        (uint256 prices, uint256 thinnesses) = _observations.sums(window, spot(), Curve.thinness(_reserve0));
        // The sum of thinness is above zero: the mean is at least 2^128 / 2^112.
        return (prices / window, Curve.THINNESS_ONE * window / thinnesses);
    }

    /// @inheritdoc IPool
    function watched() public view returns (uint256) {
        return _observations.watched();
    }

    /// @inheritdoc IPool
    function keptGas() public view returns (uint256) {
        uint256 noted = _noteGas;
        return noted < NOTE_GAS ? NOTE_GAS - noted : 0;
    }

    /// @dev Whoever saw the permit may have used it already; then the allowance is there. Nothing but the
    /// pool's two tokens is called.
    function _permit(address tokenIn, uint256 most, uint256 deadline, uint8 v, bytes32 r, bytes32 s) private {
        _other(tokenIn);
        try IERC20Permit(tokenIn).permit(msg.sender, address(this), most, deadline, v, r, s) {} catch {}
    }

    function _exactIn(address tokenIn, uint256 amountIn, uint256 leastOut, address receiver)
        private
        returns (uint256 amountOut)
    {
        (amountOut,) = quoteExactIn(tokenIn, amountIn);
        if (amountOut < leastOut) {
            revert ExchangeErrors.TooLittleOut(amountOut, leastOut);
        }
        _trade(tokenIn, amountIn, amountOut, receiver);
        _take(tokenIn, amountIn, amountIn);
        _checkValueWanted(tokenIn == Native.COIN);
        _give(_other(tokenIn), receiver, amountOut);
    }

    /// @dev All but the giving.
    function _exactOut(address tokenIn, uint256 amountOut, uint256 mostIn, address receiver)
        private
        returns (uint256 amountIn)
    {
        (amountIn,) = quoteExactOut(tokenIn, amountOut);
        if (amountIn > mostIn) {
            revert ExchangeErrors.TooMuchIn(amountIn, mostIn);
        }
        _trade(tokenIn, amountIn, amountOut, receiver);
        _take(tokenIn, amountIn, mostIn);
        _checkValueWanted(tokenIn == Native.COIN);
    }

    /// @dev Books a trade.
    function _trade(address tokenIn, uint256 amountIn, uint256 amountOut, address receiver) private {
        (uint256 reserve0, uint256 reserve1) = reserves();
        (uint256 next0, uint256 next1) = tokenIn == token0
            ? (reserve0 + amountIn, reserve1 - amountOut)
            : (reserve0 - amountOut, reserve1 + amountIn);
        if (next0 * next1 < reserve0 * reserve1) {
            revert ExchangeErrors.ProductFell();
        }
        emit Swapped(msg.sender, receiver, tokenIn, amountIn, amountOut);
        _book(next0, next1);
    }

    /// @dev Notes the price that was (the first time, that is), then sets the reserves that are.
    function _book(uint256 next0, uint256 next1) private {
        (uint256 reserve0, uint256 reserve1) = reserves();
        if (reserve0 == 0) {
            (reserve0, reserve1) = (next0, next1);
        }
        uint256 left = gasleft();
        _observations.note(Curve.price(reserve0, reserve1), Curve.thinness(reserve0));
        _noteGas = left - gasleft();
        _fit(next0, 0);
        _fit(next1, 0);
        // forge-lint: disable-next-line(unsafe-typecast)
        (_reserve0, _reserve1) = (uint112(next0), uint112(next1)); // checked just above
        emit Reserves(next0, next1);
    }

    /// @dev Takes `amount` from the caller: out of the value sent along, or by allowance.
    function _take(address token, uint256 amount, uint256 most) private {
        if (token == Native.COIN && msg.value != 0) {
            if (msg.value != most) {
                revert ExchangeErrors.ValueWrong(msg.value, most);
            }
            if (most > amount) {
                IERC20(token).safeTransfer(msg.sender, most - amount);
            }
            return;
        }
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 moved = IERC20(token).balanceOf(address(this)) - before;
        if (moved != amount) {
            revert ExchangeErrors.AmountMoved(token, amount, moved);
        }
    }

    /// @dev Pays out of the reserves.
    function _give(address token, address receiver, uint256 amount) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransfer(receiver, amount);
        _checkGiven(IERC20(token), before, amount);
    }

    /// @dev A token that charges its payer, too, would take from the providers.
    function _checkGiven(IERC20 token, uint256 before, uint256 amount) private view {
        uint256 moved = before - token.balanceOf(address(this));
        if (moved != amount) {
            revert ExchangeErrors.AmountMoved(address(token), amount, moved);
        }
    }

    /// @dev Value that nobody takes would be lost.
    function _checkValueWanted(bool wanted) private view {
        if (msg.value != 0 && !wanted) {
            revert ExchangeErrors.ValueWrong(msg.value, 0);
        }
    }

    function _check(address receiver, uint256 deadline) private view {
        if (block.timestamp > deadline) {
            revert ExchangeErrors.DeadlineOver(deadline);
        }
        if (receiver == address(0) || receiver == address(this)) {
            revert ExchangeErrors.ReceiverInvalid(receiver);
        }
    }

    /// @dev Only the first change of a second notes a price. A call that is tried in a second with an entry,
    /// and comes in one without, would lack that gas; so it must have it either way, and `eth_estimateGas` finds the
    /// same limit at any time. What is not used is not paid.
    function _checkGas() private view {
        uint256 needed = keptGas();
        if (gasleft() < needed) {
            revert ExchangeErrors.GasTooLittle(gasleft(), needed);
        }
    }

    function _other(address token) private view returns (address) {
        (address one, address two) = (token0, token1);
        if (token == one) {
            return two;
        }
        if (token == two) {
            return one;
        }
        revert ExchangeErrors.TokenUnknown(token);
    }

    function _reservesFrom(address tokenIn) private view returns (uint256 reserveIn, uint256 reserveOut) {
        _other(tokenIn);
        (uint256 reserve0, uint256 reserve1) = reserves();
        if (reserve0 == 0) {
            revert ExchangeErrors.PoolEmpty();
        }
        return tokenIn == token0 ? (reserve0, reserve1) : (reserve1, reserve0);
    }

    /// @dev So that `reserve + amount` is a reserve. No sum overflows here: both are compared first.
    function _fit(uint256 reserve, uint256 amount) private pure {
        if (amount > type(uint112).max || reserve > type(uint112).max - amount) {
            revert ExchangeErrors.ReserveTooLarge(Math.saturatingAdd(reserve, amount));
        }
    }
}
