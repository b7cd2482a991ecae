// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ExchangeErrors} from "../src/errors/ExchangeErrors.sol";
import {Native} from "../src/exchange/Native.sol";
import {Pool} from "../src/exchange/Pool.sol";
import {IPool} from "../src/interfaces/IPool.sol";
import {ExchangeWorld, PointsModel} from "./kit/ExchangeWorld.sol";
import {FalseToken, FeeToken, LyingToken} from "./kit/OddTokens.sol";

contract SomeToken is ERC20("Some", "SOME") {
    constructor(address owner) {
        _mint(owner, 1e30);
    }
}

/// @dev Calls the pool again from inside a transfer, and reads its books there.
contract CallbackToken is ERC20("Call", "CALL") {
    Pool public pool;
    bytes public again;
    bytes public answer;
    uint256 public seen;

    constructor(address owner) {
        _mint(owner, 1e30);
    }

    function arm(Pool pool_, bytes calldata again_) external {
        (pool, again) = (pool_, again_);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (again.length != 0) {
            (, answer) = address(pool).call(again);
            (uint256 reserve0, uint256 reserve1) = pool.reserves();
            seen = reserve0 * reserve1;
        }
    }
}

/// @dev One pool, trade by trade, and everything that must not work.
contract PoolTest is ExchangeWorld {
    uint256 private constant POINTS_IN = 100_000_000 * POINT;
    uint256 private constant COINS_IN = 1_000_000 * COIN_ONE;

    function setUp() public override {
        super.setUp();
        open(POINTS_IN, COINS_IN);
        fund(BOB, 1_000_000 * POINT, 10_000 * COIN_ONE);
    }

    /// @dev 1,000 points at 100 each: 10 coins, less 0.30 %, less what the trade moves the price.
    function test_buyingAndSelling() public {
        uint256 coins = buyCoins(BOB, 1_000 * POINT);
        vm.assertEq(coins, 9969900600091017092, "coins, to the last unit");
        assertBooks(0, 0);
        uint256 points = sellCoins(BOB, coins);
        vm.assertEq(points, 994009059, "points, to the last unit");
        vm.assertEq(POINTS.balanceOf(BOB), 1_000_000 * POINT - 1_000 * POINT + points, "bob");
        vm.assertEq(BOB.balance, 10_000 * COIN_ONE, "bob's coins");
        assertBooks(0, 0);
    }

    function test_anAllowanceOfCoinsDoesAsWell() public {
        uint256 snapshot = vm.snapshotState();
        uint256 points = sellCoins(BOB, COIN_ONE);
        assert(vm.revertToState(snapshot));
        vm.prank(BOB);
        vm.assertEq(POOL.exactIn(Native.COIN, COIN_ONE, 0, BOB, EVER), points, "the same");
        assertBooks(0, 0);
    }

    function test_exactOutGivesTheRestBack() public {
        (uint256 cost, uint256 fee) = POOL.quoteExactOut(Native.COIN, 5_000 * POINT);
        vm.assertEq(fee, (cost * 30 + 9_999) / 10_000, "the fee, rounded up");
        vm.prank(BOB);
        uint256 paid =
            POOL.exactOut{value: 60 * COIN_ONE}(Native.COIN, 5_000 * POINT, 60 * COIN_ONE, BOB, EVER);
        vm.assertEq(paid, cost, "as quoted");
        vm.assertEq(BOB.balance, 10_000 * COIN_ONE - cost, "the rest came back");
        vm.assertEq(POINTS.balanceOf(BOB), 1_005_000 * POINT, "exactly");
        assertBooks(0, 0);
    }

    function test_payingAShop() public {
        bytes32 memo = "bill 17";
        (uint256 cost,) = POOL.quoteExactOut(Native.COIN, 12_300 * POINT);
        vm.expectEmit(true, true, true, true, Native.POINTS);
        emit PointsModel.Memo(Native.POOL, SHOP, memo, 12_300 * POINT);
        vm.prank(BOB);
        uint256 paid =
            POOL.payExactPoints{value: 200 * COIN_ONE}(SHOP, 12_300 * POINT, 200 * COIN_ONE, memo, EVER);
        vm.assertEq(paid, cost, "as quoted");
        vm.assertEq(POINTS.balanceOf(SHOP), 12_300 * POINT, "the shop has the bill's amount");
        vm.assertEq(BOB.balance, 10_000 * COIN_ONE - cost, "bob paid no more");
        assertBooks(0, 0);
    }

    function test_aPermitAndATradeInOne() public {
        (address signer, uint8 v, bytes32 r, bytes32 s) = permitted(500 * POINT);
        // Somebody saw it and used the permit first: no harm.
        POINTS.permit(signer, Native.POOL, 500 * POINT, NOW + 60, v, r, s);
        vm.prank(signer);
        uint256 coins = POOL.exactInWithPermit(Native.POINTS, 500 * POINT, 1, signer, NOW + 60, v, r, s);
        vm.assertEq(signer.balance, coins, "coins for points");
        // No allowance is left, so a bad permit moves nothing.
        vm.prank(signer);
        vm.expectRevert();
        POOL.exactInWithPermit(Native.POINTS, 1, 0, signer, NOW + 60, v, r, s);
        vm.prank(signer);
        vm.expectRevert();
        POOL.exactOutWithPermit(Native.POINTS, 1e12, POINT, signer, NOW + 60, v, r, s);
    }

    /// @dev A shop is paid exactly so much coin out of points, with one signature.
    function test_exactlySoMuchWithAPermit() public {
        (address signer, uint8 v, bytes32 r, bytes32 s) = permitted(500 * POINT);
        POINTS.make(signer, 500 * POINT);
        (uint256 cost,) = POOL.quoteExactOut(Native.POINTS, 4 * COIN_ONE);
        vm.prank(signer);
        uint256 paid = POOL.exactOutWithPermit(
            Native.POINTS, 4 * COIN_ONE, 500 * POINT, SHOP, NOW + 60, v, r, s
        );
        vm.assertEq(paid, cost, "as quoted");
        vm.assertEq(SHOP.balance, 4 * COIN_ONE, "exactly");
        vm.assertEq(POINTS.balanceOf(signer), 1_000 * POINT - cost, "no more than it costs");
        assertBooks(0, 0);
        // What is left of the permit is the signer's own to use, until it is used up.
        uint256 left = POINTS.allowance(signer, Native.POOL);
        vm.assertEq(left, 500 * POINT - cost, "the rest stays allowed");
        address thief = vm.addr(0x7e1ef);
        POINTS.make(thief, 500 * POINT);
        vm.prank(thief);
        vm.expectRevert();
        POOL.exactOutWithPermit(Native.POINTS, 1e12, 500 * POINT, thief, NOW + 60, v, r, s);
        vm.prank(signer);
        POOL.exactIn(Native.POINTS, left, 0, signer, EVER);
        vm.assertEq(POINTS.allowance(signer, Native.POOL), 0, "nothing is left");
        vm.prank(signer);
        vm.expectRevert();
        POOL.exactOutWithPermit(Native.POINTS, 1e12, 500 * POINT, signer, NOW + 60, v, r, s);
    }

    /// @dev Somebody with so many points, who signed a permit for as many until a minute from now.
    function permitted(uint256 value) private returns (address signer, uint8 v, bytes32 r, bytes32 s) {
        uint256 secret = 0x5ec3e7;
        signer = vm.addr(secret);
        POINTS.make(signer, value);
        bytes32 content = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                signer,
                Native.POOL,
                value,
                uint256(0),
                NOW + 60
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", POINTS.DOMAIN_SEPARATOR(), content));
        (v, r, s) = vm.sign(secret, digest);
    }

    function test_limitsAndDeadlinesHold() public {
        (uint256 coins,) = POOL.quoteExactIn(Native.POINTS, 1_000 * POINT);
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TooLittleOut.selector, coins, coins + 1));
        POOL.exactIn(Native.POINTS, 1_000 * POINT, coins + 1, BOB, EVER);
        (uint256 cost,) = POOL.quoteExactOut(Native.POINTS, COIN_ONE);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TooMuchIn.selector, cost, cost - 1));
        POOL.exactOut(Native.POINTS, COIN_ONE, cost - 1, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TooMuchIn.selector, cost, cost - 1));
        POOL.exactOut(Native.POINTS, COIN_ONE, cost - 1, BOB, NOW);
        bytes memory over = abi.encodeWithSelector(ExchangeErrors.DeadlineOver.selector, NOW - 1);
        vm.expectRevert(over);
        POOL.exactIn(Native.POINTS, 1, 0, BOB, NOW - 1);
        vm.expectRevert(over);
        POOL.exactOut(Native.POINTS, 1, EVER, BOB, NOW - 1);
        vm.expectRevert(over);
        POOL.exactOutWithPermit(Native.POINTS, 1, EVER, BOB, NOW - 1, 27, 0, 0);
        vm.expectRevert(over);
        POOL.payExactPoints(SHOP, 1, EVER, 0, NOW - 1);
        vm.expectRevert(over);
        POOL.provide(1, 1, 0, BOB, NOW - 1);
        vm.expectRevert(over);
        POOL.withdraw(1, 0, 0, BOB, NOW - 1);
        // To the second.
        POOL.exactIn(Native.POINTS, POINT, 0, BOB, NOW);
        vm.stopPrank();
    }

    function test_nonsenseIsRefused() public {
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TokenUnknown.selector, BOB));
        POOL.exactIn(BOB, 1, 0, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TokenUnknown.selector, BOB));
        POOL.exactInWithPermit(BOB, 1, 0, BOB, EVER, 27, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TokenUnknown.selector, BOB));
        POOL.exactOutWithPermit(BOB, 1, 1, BOB, EVER, 27, 0, 0);
        address[2] memory bad = [address(0), Native.POOL];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory why = abi.encodeWithSelector(ExchangeErrors.ReceiverInvalid.selector, bad[i]);
            vm.expectRevert(why);
            POOL.exactIn(Native.POINTS, 1, 0, bad[i], EVER);
            vm.expectRevert(why);
            POOL.exactOut(Native.POINTS, 1, EVER, bad[i], EVER);
            vm.expectRevert(why);
            POOL.exactOutWithPermit(Native.POINTS, 1, EVER, bad[i], EVER, 27, 0, 0);
            vm.expectRevert(why);
            POOL.payExactPoints(bad[i], 1, EVER, 0, EVER);
            vm.expectRevert(why);
            POOL.provide(1, 1, 0, bad[i], EVER);
            vm.expectRevert(why);
            POOL.withdraw(1, 0, 0, bad[i], EVER);
        }
        vm.expectRevert(ExchangeErrors.AmountZero.selector);
        POOL.exactIn(Native.POINTS, 0, 0, BOB, EVER);
        vm.expectRevert(ExchangeErrors.AmountZero.selector);
        POOL.exactOut(Native.POINTS, 0, EVER, BOB, EVER);
        vm.expectRevert(ExchangeErrors.AmountZero.selector);
        POOL.provide(0, 0, 0, BOB, EVER);
        vm.expectRevert(ExchangeErrors.AmountZero.selector);
        POOL.withdraw(0, 0, 0, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ReserveTooSmall.selector, COINS_IN, COINS_IN));
        POOL.exactOut(Native.POINTS, COINS_IN, EVER, BOB, EVER);
        uint256 much = uint256(type(uint112).max) + 1 - POINTS_IN;
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ReserveTooLarge.selector, uint256(1) << 112));
        POOL.exactIn(Native.POINTS, much, 0, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ReserveTooLarge.selector, EVER));
        POOL.exactIn(Native.POINTS, EVER, 0, BOB, EVER);
        vm.stopPrank();
    }

    /// @dev Value is taken as it is named, or the call is refused; it is never kept.
    function test_valueIsExactOrRefused() public {
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ValueWrong.selector, 2e12, 1e12));
        POOL.exactIn{value: 2e12}(Native.COIN, 1e12, 0, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ValueWrong.selector, 1, 0));
        POOL.exactIn{value: 1}(Native.POINTS, POINT, 0, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ValueWrong.selector, 1, 0));
        POOL.exactOut{value: 1}(Native.POINTS, 1e6, EVER, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ValueWrong.selector, 1, COIN_ONE));
        POOL.exactOut{value: 1}(Native.COIN, 1, COIN_ONE, BOB, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ValueWrong.selector, 1, COIN_ONE));
        POOL.provide{value: 1}(100 * POINT, COIN_ONE, 0, BOB, EVER);
        (bool good,) = address(POOL).call{value: 1}("");
        vm.assertFalse(good, "no plain coin");
        vm.stopPrank();
        assertBooks(0, 0);
    }

    function test_providingAndWithdrawing() public {
        buyCoins(BOB, 7_777 * POINT);
        uint256 coinsBefore = BOB.balance;
        vm.prank(BOB);
        (uint256 points, uint256 coins, uint256 shares) =
            POOL.provide{value: 100 * COIN_ONE}(5_000 * POINT, 100 * COIN_ONE, 1, BOB, EVER);
        vm.assertEq(points, 5_000 * POINT, "all the points");
        vm.assertEq(BOB.balance, coinsBefore - coins, "only the proportion of the coins");
        assertBooks(0, 0);
        vm.prank(BOB);
        (uint256 pointsBack, uint256 coinsBack) = POOL.withdraw(shares, 0, 0, BOB, EVER);
        vm.assertLe(pointsBack, points, "no more points");
        vm.assertLe(coinsBack, coins, "no more coins");
        vm.assertLe(points - pointsBack, 1, "but for rounding");
        vm.assertLe(coins - coinsBack, 1e7, "but for rounding");
        assertBooks(0, 0);
        // Everything of the first provider's: the locked shares stay, and so does the price.
        uint256 all = POOL.balanceOf(ALICE);
        (uint256 least0, uint256 least1) = POOL.quoteWithdraw(all);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TooLittleOut.selector, least0, least0 + 1));
        POOL.withdraw(all, least0 + 1, least1, ALICE, EVER);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TooLittleOut.selector, least1, least1 + 1));
        POOL.withdraw(all, least0, least1 + 1, ALICE, EVER);
        POOL.withdraw(all, least0, least1, ALICE, EVER);
        vm.stopPrank();
        vm.assertEq(POOL.totalSupply(), POOL.LOCKED_SHARES(), "the locked ones");
        (uint256 left0, uint256 left1) = POOL.reserves();
        vm.assertTrue(left0 > 0 && left1 > 0, "never empty");
        assertBooks(0, 0);
    }

    /// @dev The known attack: own all shares but a few, give much, let the next provider round to nothing.
    function test_theFirstProviderCannotPriceTheSecond() public {
        place();
        for (uint256 slot = 2; slot < 10; ++slot) {
            if (slot != 5 && slot != 6) vm.store(Native.POOL, bytes32(slot), 0);
        }
        vm.assertEq(POOL.totalSupply(), 0, "an empty pool");
        vm.prank(BOB);
        vm.expectRevert(ExchangeErrors.PoolEmpty.selector);
        POOL.exactIn(Native.POINTS, 1, 0, BOB, EVER);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.FirstProvisionTooSmall.selector, 1_000, 1_001));
        POOL.provide(1_000, 1_000, 0, BOB, EVER);
        // The smallest beginning, and a gift of nearly all that the attacker has.
        vm.startPrank(BOB);
        POOL.provide(1, 1_002_001, 1, BOB, EVER);
        POINTS.transfer(Native.POOL, 900_000 * POINT);
        COIN.transfer(Native.POOL, 9_000 * COIN_ONE);
        vm.stopPrank();
        (uint256 reserve0, uint256 reserve1) = POOL.reserves();
        vm.assertTrue(reserve0 == 1 && reserve1 == 1_002_001, "a gift moves nothing");
        fund(SHOP, 1_000 * POINT, 1_100 * COIN_ONE);
        vm.prank(SHOP);
        (uint256 points, uint256 coins, uint256 shares) =
            POOL.provide(1_000 * POINT, 1_100 * COIN_ONE, 0, SHOP, EVER);
        vm.prank(SHOP);
        (uint256 points2, uint256 coins2) = POOL.withdraw(shares, 0, 0, SHOP, EVER);
        vm.assertTrue(points - points2 <= 1 && coins - coins2 <= 2e6, "the second lost only a rounding");
    }

    /// @dev What is given to the pool moves neither price nor average, and pays nobody.
    function test_giftsMoveNothing() public {
        uint256 spot = POOL.spot();
        (uint256 quote,) = POOL.quoteExactIn(Native.POINTS, 1_000 * POINT);
        vm.startPrank(BOB);
        POINTS.transfer(Native.POOL, 500_000 * POINT);
        COIN.transfer(Native.POOL, 5_000 * COIN_ONE);
        vm.stopPrank();
        vm.assertEq(POOL.spot(), spot, "spot");
        vm.warp(NOW + 3_600);
        (uint256 average,) = POOL.average(3_600);
        vm.assertEq(average, spot, "average");
        vm.assertEq(buyCoins(BOB, 1_000 * POINT), quote, "a trade");
        assertBooks(500_000 * POINT, 5_000 * COIN_ONE);
    }

    /// @dev Where the genesis file forgot the exemption, a trade is refused; the pool does not pay the fee.
    function test_aPoolThatIsChargedPaysNothing() public {
        vm.mockCall(Native.POINTS, abi.encodeCall(IERC20.transfer, (BOB, 49_849)), abi.encode(true));
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.AmountMoved.selector, Native.POINTS, 49_849, 0));
        POOL.exactIn{value: 5e14}(Native.COIN, 5e14, 49_849, BOB, EVER);
        vm.clearMockedCalls();
    }

    function test_placedAsTheConstructorWouldLeaveIt() public {
        Pool made = new Pool(Native.POINTS, Native.COIN);
        super.setUp();
        // A second world at the same place: nothing of the first one's state counts here.
        vm.assertEq(address(made).code, Native.POOL.code, "the same code");
        for (uint256 slot = 3; slot < 7; ++slot) {
            vm.assertEq(
                vm.load(address(made), bytes32(slot)), vm.load(Native.POOL, bytes32(slot)), "the same words"
            );
        }
        for (uint256 slot = 0; slot < 16; ++slot) {
            bool named = slot == 5 || slot == 6;
            vm.assertEq(vm.load(address(made), bytes32(slot)) != 0, named, "nothing besides");
        }
        vm.assertEq(made.name(), "MileVerse Pool Share", "name");
        vm.assertEq(made.symbol(), "MV-POOL", "symbol");
    }

    function test_OddTokens() public {
        _odd(new FeeToken(ALICE), abi.encodeWithSelector(ExchangeErrors.AmountMoved.selector));
        _odd(new LyingToken(ALICE), abi.encodeWithSelector(ExchangeErrors.AmountMoved.selector));
        _odd(new FalseToken(ALICE), abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector));
    }

    /// @dev A token that calls back finds the pool shut, and books that are done.
    function test_OddTokens_callingBack() public {
        CallbackToken token = new CallbackToken(ALICE);
        Pool pool = Pool(FACTORY.create(address(token), Native.COIN));
        vm.deal(ALICE, 1_000 * COIN_ONE);
        vm.startPrank(ALICE);
        token.approve(address(pool), type(uint256).max);
        COIN.approve(address(pool), type(uint256).max);
        (uint256 most0, uint256 most1) = (uint256(1e20), uint256(1e20));
        pool.provide(most0, most1, 0, ALICE, EVER);
        bytes[4] memory again = [
            abi.encodeCall(IPool.exactIn, (address(token), 1e18, 0, ALICE, EVER)),
            abi.encodeCall(IPool.exactOut, (Native.COIN, 1, EVER, ALICE, EVER)),
            abi.encodeCall(IPool.provide, (1e18, 1e18, 0, ALICE, EVER)),
            abi.encodeCall(IPool.withdraw, (1e6, 0, 0, ALICE, EVER))
        ];
        for (uint256 i = 0; i < again.length; ++i) {
            token.arm(pool, again[i]);
            pool.exactIn(address(token), 1e18, 0, ALICE, EVER);
            vm.assertEq(
                bytes32(token.answer()),
                bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
                "shut"
            );
            (uint256 reserve0, uint256 reserve1) = pool.reserves();
            vm.assertEq(token.seen(), reserve0 * reserve1, "the books were done");
        }
        vm.stopPrank();
    }

    function test_theFactory() public {
        SomeToken some = new SomeToken(ALICE);
        vm.assertEq(FACTORY.poolOf(Native.COIN, Native.POINTS), Native.POOL, "the chain's own");
        vm.assertEq(FACTORY.predict(Native.COIN, Native.POINTS), Native.POOL, "is where it is");
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.PoolExists.selector, Native.POOL));
        FACTORY.create(Native.COIN, Native.POINTS);
        address expected = FACTORY.predict(address(some), Native.COIN);
        vm.assertEq(FACTORY.create(Native.COIN, address(some)), expected, "where it was predicted");
        vm.assertEq(FACTORY.poolOf(address(some), Native.COIN), expected, "listed");
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.PoolExists.selector, expected));
        FACTORY.create(address(some), Native.COIN);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TokenTwice.selector, Native.COIN));
        FACTORY.create(Native.COIN, Native.COIN);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.TokenWithoutCode.selector, BOB));
        FACTORY.create(Native.COIN, BOB);
        // Points would charge a pool that no genesis file exempts.
        address charged = FACTORY.predict(address(some), Native.POINTS);
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.PointsCharge.selector, charged));
        FACTORY.create(address(some), Native.POINTS);
        (uint256 count, address[] memory page) = FACTORY.pools(0, 1_000);
        vm.assertTrue(count == 2 && page.length == 2, "two");
        vm.assertTrue(page[0] == Native.POOL && page[1] == expected, "in order");
        (, page) = FACTORY.pools(1, 1);
        vm.assertTrue(page.length == 1 && page[0] == expected, "a page");
        (, page) = FACTORY.pools(2, 1);
        vm.assertEq(page.length, 0, "past the end");
    }

    /// @dev A quote is what happens, and exact-in and exact-out agree with each other.
    function testFuzz_quotesAreWhatHappens(uint256 amount, bool buys) public {
        address tokenIn = buys ? Native.POINTS : Native.COIN;
        amount = bound(amount, buys ? 1 : 1.1e10, buys ? 1e15 : 1e25);
        fund(BOB, 1e15, 1e26);
        (uint256 out, uint256 fee) = POOL.quoteExactIn(tokenIn, amount);
        (uint256 back,) = POOL.quoteExactOut(tokenIn, out);
        vm.assertLe(back, amount, "what is needed for as much is not more");
        (uint256 more,) = POOL.quoteExactIn(tokenIn, back);
        vm.assertEq(more, out, "and it is enough");
        vm.assertLe(fee * 10_000, amount * 30 + 9_999, "the fee is 0.30 %");
        vm.prank(BOB);
        vm.assertEq(POOL.exactIn(tokenIn, amount, out, BOB, NOW), out, "as quoted");
        assertBooks(0, 0);
    }

    /// @dev Any sequence of one attacker's calls, then everything sold and taken back: never richer.
    function testFuzz_noFreeLunch(uint256[12] calldata moves) public {
        fund(SHOP, 5e14, 5e24);
        uint256 price0 = POINTS.balanceOf(SHOP);
        uint256 price1 = SHOP.balance;
        for (uint256 i = 0; i < moves.length; ++i) {
            _move(SHOP, moves[i]);
        }
        vm.startPrank(SHOP);
        uint256 shares = POOL.balanceOf(SHOP);
        if (shares > 1e9) POOL.withdraw(shares, 0, 0, SHOP, EVER);
        // Back to as many points as at the start; what is left in coins tells who won.
        uint256 points = POINTS.balanceOf(SHOP);
        if (points > price0) {
            (uint256 out,) = _tryQuote(points - price0);
            if (out > 0) POOL.exactIn(Native.POINTS, points - price0, 0, SHOP, EVER);
        } else if (points < price0) {
            POOL.exactOut(Native.COIN, price0 - points, EVER - 1, SHOP, EVER);
        }
        vm.stopPrank();
        vm.assertLe(SHOP.balance, price1, "no more coins");
        vm.assertLe(POINTS.balanceOf(SHOP), price0 + 1, "no more points");
        assertBooks(0, 0);
    }

    function _tryQuote(uint256 points) private view returns (uint256, bool) {
        try POOL.quoteExactIn(Native.POINTS, points) returns (uint256 out, uint256) {
            return (out, true);
        } catch {
            return (0, false);
        }
    }

    function _move(address who, uint256 seed) private {
        uint256 size = (seed >> 8) % 1e6 + 1;
        uint256 points = POINTS.balanceOf(who) / 2 * size / 1e6;
        uint256 coins = who.balance / 2 * size / 1e6;
        vm.startPrank(who);
        uint256 kind = seed % 5;
        if (kind == 0 && points > 1e3) POOL.exactIn(Native.POINTS, points, 0, who, EVER);
        if (kind == 1 && coins > 1e12) POOL.exactIn(Native.COIN, coins, 0, who, EVER);
        if (kind == 2 && points > 1e3 && coins > 1e12) POOL.provide(points, coins, 0, who, EVER);
        if (kind == 3 && POOL.balanceOf(who) / 2 * size / 1e6 > 1e9) {
            POOL.withdraw(POOL.balanceOf(who) / 2 * size / 1e6, 0, 0, who, EVER);
        }
        if (kind == 4) vm.warp(block.timestamp + size);
        vm.stopPrank();
    }

    function _odd(IERC20 token, bytes memory selector) private {
        Pool pool = Pool(FACTORY.create(address(token), Native.COIN));
        vm.deal(ALICE, 1_000 * COIN_ONE);
        vm.startPrank(ALICE);
        token.approve(address(pool), type(uint256).max);
        COIN.approve(address(pool), type(uint256).max);
        (bool good, bytes memory why) =
            address(pool).call(abi.encodeCall(IPool.provide, (1e20, 1e20, 0, ALICE, EVER)));
        vm.stopPrank();
        vm.assertFalse(good, "refused");
        vm.assertEq(bytes32(bytes4(why)), bytes32(bytes4(selector)), "for the reason it has");
    }
}
