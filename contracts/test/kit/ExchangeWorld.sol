// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {Native} from "../../src/exchange/Native.sol";
import {Oracle} from "../../src/exchange/Oracle.sol";
import {Pool} from "../../src/exchange/Pool.sol";
import {PoolFactory} from "../../src/exchange/PoolFactory.sol";
import {Test} from "./Test.sol";
import {Vm} from "./Vm.sol";

/// @notice The points module as pools see it: 0.3 % on top, paid by the payer, unless exempt.
contract PointsModel is ERC20Permit {
    event Memo(address indexed from, address indexed to, bytes32 indexed memo, uint256 amount);

    address private constant TREASURY = address(0x77);

    constructor() ERC20("MileVerse Points", "MVP") ERC20Permit("MileVerse Points") {}

    /// @dev The code is placed without its constructor.
    function name() public pure override returns (string memory) {
        return "MileVerse Points";
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function make(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @dev The bridge's own moves are free and go by no allowance.
    function carry(address from, address to, uint256 amount) external {
        require(msg.sender == Native.BRIDGE, "only the bridge");
        super._update(from, to, amount);
    }

    function transferFee(address from, address to, uint256 amount) public pure virtual returns (uint256) {
        bool exempt = from == Native.POOL || to == Native.POOL || from == TREASURY || to == TREASURY
            || to == Native.ROUTER;
        uint256 fee = amount * 30 / 10_000;
        return exempt ? 0 : fee < 300e6 ? fee : 300e6;
    }

    function transferWithMemo(address to, uint256 amount, bytes32 memo) external returns (bool) {
        emit Memo(msg.sender, to, memo, amount);
        return transfer(to, amount);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) {
            uint256 fee = transferFee(from, to, value);
            if (fee != 0) super._update(from, TREASURY, fee);
        }
    }
}

/// @notice Points of a genesis file that exempts neither the pool nor the router.
contract ChargingPoints is PointsModel {
    function transferFee(address, address, uint256 amount) public pure override returns (uint256) {
        return amount * 30 / 10_000;
    }
}

/// @notice The coin's ERC-20 face: its balances are the accounts' own.
contract CoinModel {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function balanceOf(address account) external view returns (uint256) {
        return account.balance;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) internal virtual returns (bool) {
        require(from.balance >= amount, "the coin balance is below this amount");
        vm.deal(from, from.balance - amount);
        vm.deal(to, to.balance + amount);
        return true;
    }
}

/// @notice The native chain's exchange as a genesis file places it, and two modelled modules.
abstract contract ExchangeWorld is Test {
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant SHOP = address(0x5409);
    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant EVER = type(uint256).max;
    uint256 internal constant POINT = 1e6;
    uint256 internal constant COIN_ONE = 1e18;
    /// @dev More gas than any call here takes.
    uint256 internal constant MOST_GAS = 1_000_000;

    PointsModel internal constant POINTS = PointsModel(Native.POINTS);
    CoinModel internal constant COIN = CoinModel(Native.COIN);
    Pool internal constant POOL = Pool(Native.POOL);
    PoolFactory internal constant FACTORY = PoolFactory(Native.FACTORY);
    Oracle internal constant ORACLE = Oracle(Native.ORACLE);

    function setUp() public virtual {
        vm.warp(NOW);
        vm.etch(Native.POINTS, address(new PointsModel()).code);
        vm.etch(Native.COIN, address(new CoinModel()).code);
        place();
    }

    /// @dev As `fixtures`' genesis does it: code, and slots 5 and 6 of the pool.
    function place() internal {
        vm.etch(Native.POOL, address(new Pool(address(1), address(2))).code);
        vm.store(Native.POOL, bytes32(uint256(5)), bytes32(uint256(uint160(Native.POINTS))));
        vm.store(Native.POOL, bytes32(uint256(6)), bytes32(uint256(uint160(Native.COIN))));
        vm.etch(Native.FACTORY, address(new PoolFactory()).code);
        vm.etch(Native.ORACLE, address(new Oracle()).code);
    }

    /// @dev Somebody who has this much, and allows the pool everything.
    function fund(address account, uint256 points, uint256 coins) internal {
        POINTS.make(account, points);
        vm.deal(account, account.balance + coins);
        vm.startPrank(account);
        POINTS.approve(address(POOL), type(uint256).max);
        COIN.approve(address(POOL), type(uint256).max);
        vm.stopPrank();
    }

    /// @dev ALICE provides.
    function open(uint256 points, uint256 coins) internal {
        fund(ALICE, points, coins);
        vm.prank(ALICE);
        POOL.provide(points, coins, 0, ALICE, EVER);
    }

    function buyCoins(address who, uint256 points) internal returns (uint256) {
        vm.prank(who);
        return POOL.exactIn(Native.POINTS, points, 0, who, EVER);
    }

    function sellCoins(address who, uint256 coins) internal returns (uint256) {
        vm.prank(who);
        return POOL.exactIn{value: coins}(Native.COIN, coins, 0, who, EVER);
    }

    /// @dev What the pool books is what it has, beside what was given to it.
    function assertBooks(uint256 givenPoints, uint256 givenCoins) internal {
        (uint256 points, uint256 coins) = POOL.reserves();
        vm.assertEq(POINTS.balanceOf(Native.POOL), points + givenPoints, "points are booked");
        vm.assertEq(Native.POOL.balance, coins + givenCoins, "coins are booked");
    }

    /// @dev The least gas with which a call succeeds, as `eth_estimateGas` looks for it.
    function leastGas(address to, bytes memory call, uint256 value) internal returns (uint256) {
        (uint256 low, uint256 high) = (0, MOST_GAS);
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            uint256 snapshot = vm.snapshotState();
            if (tryWith(to, call, value, middle)) high = middle;
            else low = middle;
            assert(vm.revertToState(snapshot));
        }
        return high;
    }

    /// @dev Whether a call goes through with so much gas, the pool being cold as in a transaction of its own.
    function tryWith(address to, bytes memory call, uint256 value, uint256 gas_) internal returns (bool done) {
        vm.cool(to);
        vm.cool(Native.POOL);
        (done,) = to.call{gas: gas_, value: value}(call);
    }
}
