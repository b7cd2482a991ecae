// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SwapErrors} from "../src/errors/SwapErrors.sol";
import {HashedTimelock} from "../src/swaps/HashedTimelock.sol";
import {FalseToken, FeeToken, LyingToken} from "./kit/OddTokens.sol";
import {Test} from "./kit/Test.sol";

contract PlainToken is ERC20("Plain", "PLAIN") {
    constructor(address owner) {
        _mint(owner, 1e30);
    }
}

contract PermitToken is ERC20("Permit", "PERMIT"), ERC20Permit("Permit") {
    constructor(address owner) {
        _mint(owner, 1e30);
    }
}

/// @dev Claims again while it is being claimed.
contract GreedyToken is ERC20("Greedy", "GREEDY") {
    HashedTimelock private immutable swaps;
    bytes public again;
    bool public good;

    constructor(address owner, HashedTimelock swaps_) {
        swaps = swaps_;
        _mint(owner, 1e30);
    }

    function arm(bytes calldata again_) external {
        again = again_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (again.length != 0) {
            (good,) = address(swaps).call(again);
        }
    }
}

/// @dev Both sides of a trade, and everything that must not work.
contract HashedTimelockTest is Test {
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);
    address private constant RELAYER = address(0x7e1a);
    uint256 private constant NOW = 1_800_000_000;
    bytes32 private constant SECRET = keccak256("secret");

    HashedTimelock private here;
    HashedTimelock private there;
    IERC20 private mvp;
    IERC20 private mvc;
    bytes32 private lock;

    function setUp() public {
        vm.warp(NOW);
        (here, there) = (new HashedTimelock(), new HashedTimelock());
        (mvp, mvc) = (new PlainToken(ALICE), new PlainToken(BOB));
        lock = sha256(abi.encodePacked(SECRET));
    }

    function test_aTrade() public {
        HashedTimelock.Terms memory hers = _open(here, mvp, 1_000, ALICE, BOB, uint64(NOW + 2 hours));
        HashedTimelock.Terms memory his = _open(there, mvc, 7, BOB, ALICE, uint64(NOW + 1 hours));
        // A relayer does it for both; the tokens go where the terms say.
        vm.expectEmit(true, true, true, true, address(there));
        emit HashedTimelock.SwapClaimed(there.idOf(his), lock, SECRET);
        vm.prank(RELAYER);
        there.claim(his, SECRET);
        vm.prank(RELAYER);
        here.claim(hers, SECRET);
        vm.assertEq(mvc.balanceOf(ALICE), 7, "alice has his");
        vm.assertEq(mvp.balanceOf(BOB), 1_000, "bob has hers");
        vm.assertEq(mvp.balanceOf(address(here)) + mvc.balanceOf(address(there)), 0, "nothing is left");
        vm.assertTrue(here.states(here.idOf(hers)) == HashedTimelock.State.Claimed, "claimed");
    }

    function test_noSecretNoTrade() public {
        HashedTimelock.Terms memory hers = _open(here, mvp, 1_000, ALICE, BOB, uint64(NOW + 2 hours));
        HashedTimelock.Terms memory his = _open(there, mvc, 7, BOB, ALICE, uint64(NOW + 1 hours));
        vm.warp(NOW + 1 hours + 1);
        vm.prank(RELAYER);
        there.refund(his);
        vm.assertEq(mvc.balanceOf(BOB), 1e30, "bob has his back");
        vm.expectRevert(abi.encodeWithSelector(SwapErrors.DeadlineNotOver.selector, NOW + 2 hours));
        here.refund(hers);
        vm.warp(NOW + 2 hours + 1);
        here.refund(hers);
        vm.assertEq(mvp.balanceOf(ALICE), 1e30, "alice has hers back");
        vm.assertTrue(here.states(here.idOf(hers)) == HashedTimelock.State.Refunded, "refunded");
    }

    /// @dev To the second: claimed up to the deadline, refunded after it, never both.
    function testFuzz_oneEndOnly(uint64 when, bool claimsFirst) public {
        uint64 deadline = uint64(NOW + 1 hours);
        HashedTimelock.Terms memory terms = _open(here, mvp, 5, ALICE, BOB, deadline);
        uint256 time = bound(when, NOW, NOW + 2 hours);
        vm.warp(time);
        for (uint256 i = 0; i < 4; ++i) {
            bool claims = claimsFirst == (i % 2 == 0);
            (bool good,) = address(here)
                .call(
                    claims
                        ? abi.encodeCall(here.claim, (terms, SECRET))
                        : abi.encodeCall(here.refund, (terms))
                );
            bool first = i < 2;
            vm.assertTrue(good == (first && claims == (time <= deadline)), "the one that is due, once");
        }
        vm.assertEq(mvp.balanceOf(BOB), time <= deadline ? 5 : 0, "bob");
        vm.assertEq(mvp.balanceOf(ALICE), time <= deadline ? 1e30 - 5 : 1e30, "alice");
    }

    function testFuzz_onlyTheSecretOpensIt(bytes32 guess) public {
        vm.assume(guess != SECRET);
        HashedTimelock.Terms memory terms = _open(here, mvp, 5, ALICE, BOB, uint64(NOW + 1));
        vm.expectRevert(abi.encodeWithSelector(SwapErrors.SecretWrong.selector, here.idOf(terms)));
        here.claim(terms, guess);
        vm.assertTrue(here.states(here.idOf(terms)) == HashedTimelock.State.Open, "still open");
    }

    /// @dev Any change of the terms names another swap, which is not open.
    function test_otherTermsAreAnotherSwap() public {
        HashedTimelock.Terms memory good = _open(here, mvp, 5, ALICE, BOB, uint64(NOW + 60));
        for (uint256 i = 0; i < 6; ++i) {
            HashedTimelock.Terms memory bad = abi.decode(abi.encode(good), (HashedTimelock.Terms));
            if (i == 0) bad.token = mvc;
            if (i == 1) bad.amount = 6;
            if (i == 2) bad.opener = RELAYER;
            if (i == 3) bad.claimer = RELAYER;
            if (i == 4) bad.lock = sha256(abi.encodePacked(bytes32(0)));
            if (i == 5) bad.deadline = uint64(NOW + 61);
            bytes memory why = abi.encodeWithSelector(SwapErrors.SwapNotOpen.selector, here.idOf(bad));
            vm.expectRevert(why);
            here.claim(bad, SECRET);
            vm.expectRevert(why);
            here.refund(bad);
        }
        // The same terms on the other contract, or on another chain, are another swap too.
        vm.expectRevert(abi.encodeWithSelector(SwapErrors.SwapNotOpen.selector, there.idOf(good)));
        there.claim(good, SECRET);
        vm.chainId(77);
        vm.expectRevert(abi.encodeWithSelector(SwapErrors.SwapNotOpen.selector, here.idOf(good)));
        here.claim(good, SECRET);
    }

    function test_termsAreOpenedOnce() public {
        HashedTimelock.Terms memory terms = _open(here, mvp, 5, ALICE, BOB, uint64(NOW + 60));
        bytes memory why = abi.encodeWithSelector(SwapErrors.SwapExists.selector, here.idOf(terms));
        vm.prank(ALICE);
        vm.expectRevert(why);
        here.open(mvp, 5, BOB, lock, uint64(NOW + 60));
        here.claim(terms, SECRET);
        // Not even after its end: the secret is known by then.
        vm.prank(ALICE);
        vm.expectRevert(why);
        here.open(mvp, 5, BOB, lock, uint64(NOW + 60));
    }

    /// @dev One transaction; whoever used the permit first did no harm, and none is good twice or for more.
    function testFuzz_aPermitOpensIt(bool usedBefore) public {
        (uint256 key, uint64 deadline) = (0x5ec3e7, uint64(NOW + 60));
        address carol = vm.addr(key);
        PermitToken token = new PermitToken(carol);
        bytes32 content = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                carol,
                address(here),
                uint256(9),
                uint256(0),
                NOW + 5
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), content));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        if (usedBefore) token.permit(carol, address(here), 9, NOW + 5, v, r, s);
        vm.prank(RELAYER);
        vm.expectRevert();
        here.openWithPermit(token, 9, RELAYER, lock, deadline, NOW + 5, v, r, s);
        if (!usedBefore) {
            // Nothing is allowed yet, and the permit is for nine.
            vm.prank(carol);
            vm.expectRevert();
            here.openWithPermit(token, 10, BOB, lock, deadline, NOW + 5, v, r, s);
        }
        vm.prank(carol);
        bytes32 id = here.openWithPermit(token, 9, BOB, lock, deadline, NOW + 5, v, r, s);
        vm.assertEq(id, here.idOf(HashedTimelock.Terms(token, 9, carol, BOB, lock, deadline)), "its name");
        vm.assertEq(token.allowance(carol, address(here)), 0, "nothing stays allowed");
        vm.prank(carol);
        vm.expectRevert();
        here.openWithPermit(token, 9, BOB, lock, deadline + 1, NOW + 5, v, r, s);
        vm.prank(carol);
        vm.expectRevert(SwapErrors.AmountZero.selector);
        here.openWithPermit(token, 0, BOB, lock, deadline + 1, NOW + 5, v, r, s);
    }

    function test_badTermsAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(SwapErrors.TokenWithoutCode.selector, address(0xdead)));
        here.open(IERC20(address(0xdead)), 1, BOB, lock, uint64(NOW + 1));
        vm.expectRevert(SwapErrors.AccountZero.selector);
        here.open(mvp, 1, address(0), lock, uint64(NOW + 1));
        vm.expectRevert(SwapErrors.AmountZero.selector);
        here.open(mvp, 0, BOB, lock, uint64(NOW + 1));
        uint64[3] memory bad = [uint64(NOW), uint64(NOW + 30 days + 1), type(uint64).max];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(SwapErrors.DeadlineOutOfRange.selector, bad[i], NOW + 1, NOW + 30 days)
            );
            here.open(mvp, 1, BOB, lock, bad[i]);
        }
    }

    function test_OddTokens() public {
        _oddRefused(new FeeToken(ALICE), abi.encodeWithSelector(SwapErrors.AmountMoved.selector, 10, 9));
        _oddRefused(new LyingToken(ALICE), abi.encodeWithSelector(SwapErrors.AmountMoved.selector, 10, 0));
        IERC20 falsely = new FalseToken(ALICE);
        _oddRefused(
            falsely, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(falsely))
        );
    }

    function test_OddTokens_callingBack() public {
        GreedyToken greedy = new GreedyToken(ALICE, here);
        HashedTimelock.Terms memory one = _open(here, greedy, 5, ALICE, BOB, uint64(NOW + 60));
        _open(here, greedy, 5, ALICE, BOB, uint64(NOW + 61));
        greedy.arm(abi.encodeCall(here.claim, (one, SECRET)));
        here.claim(one, SECRET);
        vm.assertFalse(greedy.good(), "not again");
        vm.assertEq(greedy.balanceOf(BOB), 5, "once");
    }

    /// @dev What a swap pays out is what it took in, whatever else the contract holds.
    function testFuzz_swapsDoNotTouchEachOther(uint128 first, uint128 second) public {
        uint256 a = bound(first, 1, 1e29);
        uint256 b = bound(second, 1, 1e29);
        HashedTimelock.Terms memory one = _open(here, mvp, a, ALICE, BOB, uint64(NOW + 60));
        HashedTimelock.Terms memory two = _open(here, mvp, b, ALICE, BOB, uint64(NOW + 61));
        here.claim(one, SECRET);
        vm.assertEq(mvp.balanceOf(address(here)), b, "the other one is whole");
        vm.warp(NOW + 62);
        here.refund(two);
        vm.assertEq(mvp.balanceOf(address(here)), 0, "all is paid out");
        vm.assertEq(mvp.balanceOf(BOB), a, "each its own");
    }

    function _oddRefused(IERC20 token, bytes memory why) private {
        vm.prank(ALICE);
        token.approve(address(here), 10);
        vm.prank(ALICE);
        vm.expectRevert(why);
        here.open(token, 10, BOB, lock, uint64(NOW + 1));
    }

    function _open(
        HashedTimelock swaps,
        IERC20 token,
        uint256 amount,
        address opener,
        address claimer,
        uint64 deadline
    ) private returns (HashedTimelock.Terms memory terms) {
        vm.prank(opener);
        token.approve(address(swaps), type(uint256).max);
        vm.prank(opener);
        bytes32 id = swaps.open(token, amount, claimer, lock, deadline);
        terms = HashedTimelock.Terms(token, amount, opener, claimer, lock, deadline);
        vm.assertEq(id, swaps.idOf(terms), "its name");
    }
}
