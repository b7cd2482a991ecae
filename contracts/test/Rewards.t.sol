// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {RewardErrors} from "../src/errors/RewardErrors.sol";
import {ValveErrors} from "../src/errors/ValveErrors.sol";
import {IQuarterlyRewards} from "../src/interfaces/IQuarterlyRewards.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {Quarter} from "../src/libraries/Quarter.sol";
import {QuarterlyRewards} from "../src/rewards/QuarterlyRewards.sol";
import {Reserve} from "../src/rewards/Reserve.sol";
import {MileVerseCoin} from "../src/tokens/MileVerseCoin.sol";
import {RewardsWorld} from "./kit/RewardsWorld.sol";

/// @dev The quarterly rewards' rules, one by one.
contract RewardsTest is RewardsWorld {
    address private constant CARL = address(0xca41);
    uint256 private constant ELIGIBLE = SUPPLY - RESERVED - TREASURED;

    function setUp() public override {
        super.setUp();
        give(ALICE, BOB, 300_000_000 ether);
    }

    function test_aQuarterIsOpenedOnceItIsOver() public {
        vm.warp(FIRST_ENDS - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotOver.selector, FIRST, FIRST_ENDS));
        rewards.open(FIRST);
        vm.warp(FIRST_ENDS);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotNext.selector, FIRST + 1, FIRST));
        rewards.open(FIRST + 1);
        vm.expectEmit(true, true, true, true, address(reserve));
        emit Reserve.Released(FIRST, POT, RESERVED - POT);
        vm.expectEmit(true, true, true, true, address(rewards));
        emit IQuarterlyRewards.QuarterOpened(FIRST, POT, ELIGIBLE, 0, true);
        rewards.open(FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotNext.selector, FIRST, FIRST + 1));
        rewards.open(FIRST);
        vm.expectRevert(
            abi.encodeWithSelector(RewardErrors.NotOver.selector, FIRST + 1, Quarter.ends(FIRST + 1))
        );
        rewards.open(FIRST + 1);
        vm.assertEq(coin.balanceOf(address(rewards)), POT, "the pot is here");
        vm.assertEq(rewards.owed(), POT, "and promised");
    }

    function test_everyHolderIsPaidItsShareOnce() public {
        vm.warp(FIRST_ENDS);
        // Whoever moves coin now held it at the close.
        give(BOB, CARL, 100_000_000 ether);
        rewards.open(FIRST);
        uint256 share = POT * 300_000_000 ether / ELIGIBLE;
        (uint256 earned, bool isClaimed) = rewards.earned(BOB, FIRST);
        vm.assertEq(earned, share, "as at the close");
        vm.assertFalse(isClaimed, "not yet");
        vm.expectEmit(true, true, true, true, address(rewards));
        emit IQuarterlyRewards.Claimed(FIRST, BOB, share);
        vm.prank(CARL); // for anybody
        vm.assertEq(rewards.claim(BOB, FIRST), share, "paid");
        vm.assertEq(coin.balanceOf(BOB), 200_000_000 ether + share, "to the account");
        (, isClaimed) = rewards.earned(BOB, FIRST);
        vm.assertTrue(isClaimed, "claimed");
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.ClaimedAlready.selector, BOB, FIRST));
        rewards.claim(BOB, FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NothingEarned.selector, CARL, FIRST));
        rewards.claim(CARL, FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotOpen.selector, FIRST + 1));
        rewards.claim(BOB, FIRST + 1);
        IQuarterlyRewards.Report memory report = rewards.report(FIRST);
        vm.assertEq(report.paid, share, "paid");
        vm.assertEq(report.claims, 1, "claims");
        vm.assertEq(report.unclaimed, POT - share, "unclaimed");
        vm.assertEq(report.openedAt, FIRST_ENDS, "opened");
    }

    function test_nobodyElseIsEverPaid() public {
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        address[5] memory never = [TREASURY, address(reserve), address(rewards), address(bridge), address(0)];
        address[] memory batch = new address[](5);
        for (uint256 i = 0; i < never.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(RewardErrors.NeverEarns.selector, never[i], FIRST));
            rewards.claim(never[i], FIRST);
            batch[i] = never[i];
        }
        vm.assertEq(rewards.claimBatch(batch, FIRST), 0, "passed over");
    }

    function test_aBatchPassesOverWhatIsPaid() public {
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        uint256 bobs = rewards.claim(BOB, FIRST);
        address[] memory accounts = new address[](4);
        (accounts[0], accounts[1], accounts[2], accounts[3]) = (BOB, ALICE, CARL, ALICE);
        uint256 paid = rewards.claimBatch(accounts, FIRST);
        vm.assertEq(paid, POT * 1_200_000_000 ether / ELIGIBLE, "Alice, once");
        vm.assertLe(paid + bobs, POT, "no more than the pot");
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.BatchSize.selector, 0));
        rewards.claimBatch(new address[](0), FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.BatchSize.selector, 257));
        rewards.claimBatch(new address[](257), FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.BatchSize.selector, 0));
        rewards.claimQuarters(BOB, new uint64[](0));
    }

    function test_claimsOfManyQuartersNeverExpire() public {
        vm.warp(Quarter.ends(FIRST + 299));
        for (uint64 quarter = FIRST; quarter < FIRST + 214; ++quarter) {
            rewards.open(quarter);
        }
        uint64[] memory quarters = new uint64[](214);
        for (uint64 i = 0; i < 214; ++i) {
            quarters[i] = FIRST + i;
        }
        uint256 each = POT * 300_000_000 ether / ELIGIBLE;
        uint256 paid = rewards.claimQuarters(BOB, quarters);
        // 213 whole pots, then what is left.
        vm.assertEq(paid, 213 * each + RESERVED % POT * 300_000_000 ether / ELIGIBLE, "all of them");
        vm.assertEq(rewards.claimQuarters(BOB, quarters), 0, "once");
    }

    function test_theReserveEndsAndThatIsAnnounced() public {
        vm.warp(Quarter.ends(FIRST + 214));
        for (uint64 i = 0; i < 214; ++i) {
            rewards.open(FIRST + i);
            IQuarterlyRewards.Report memory report = rewards.report(FIRST + i);
            // 960,000,000 / 4,500,000 = 213 and a third.
            vm.assertEq(report.pot, i < 213 ? POT : RESERVED % POT, "pot");
            vm.assertEq(report.nextFunded, i < 212, "a quarter ahead");
        }
        vm.assertEq(coin.balanceOf(address(reserve)), 0, "empty");
        IQuarterlyRewards.Standing memory standing = rewards.standing();
        vm.assertFalse(standing.funded, "not funded");
        vm.assertEq(standing.nextPot, 0, "nothing");
        uint64 next = FIRST + 214;
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NothingToShare.selector, next));
        rewards.open(next);
        // Whoever gives coin pays the next.
        vm.startPrank(ALICE);
        coin.approve(address(rewards), type(uint256).max);
        vm.expectRevert(RewardErrors.AmountZero.selector);
        rewards.fund(0);
        rewards.fund(1 ether - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NothingToShare.selector, next));
        rewards.open(next);
        rewards.fund(POT);
        vm.stopPrank();
        standing = rewards.standing();
        vm.assertTrue(standing.funded, "funded");
        rewards.open(next);
        vm.assertEq(rewards.report(next).pot, POT, "no more than a pot");
        vm.assertEq(rewards.available(), 1 ether - 1, "the rest waits");
    }

    function test_theReserveGivesOnlyToTheRewards() public {
        vm.warp(FIRST_ENDS);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.OnlyRewards.selector, address(this)));
        reserve.release(FIRST);
        // Not even they get a quarter twice, another one, or one that is not over.
        vm.startPrank(address(rewards));
        reserve.release(FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotNext.selector, FIRST, FIRST + 1));
        reserve.release(FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotNext.selector, FIRST + 2, FIRST + 1));
        reserve.release(FIRST + 2);
        vm.expectRevert(
            abi.encodeWithSelector(RewardErrors.NotOver.selector, FIRST + 1, Quarter.ends(FIRST + 1))
        );
        reserve.release(FIRST + 1);
    }

    function test_anExclusionCountsFromTheNextCloseOn() public {
        vm.warp(FIRST_ENDS);
        bytes memory call = abi.encodeCall(rewards.exclude, (BOB));
        announceList(call);
        vm.warp(block.timestamp + DELAY);
        // A quarter that is over comes first.
        vm.prank(GOVERNOR);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.OpenFirst.selector, FIRST));
        authority.execute(address(rewards), call);
        rewards.open(FIRST);
        vm.expectEmit(true, true, true, true, address(rewards));
        emit IQuarterlyRewards.Excluded(BOB, FIRST + 1);
        enactList(call);
        vm.assertEq(rewards.excluded().length, 2, "on the list");
        vm.warp(Quarter.ends(FIRST + 1));
        rewards.open(FIRST + 1);
        vm.assertEq(rewards.report(FIRST + 1).eligible, ELIGIBLE - 300_000_000 ether, "without it");
        vm.assertTrue(rewards.claim(BOB, FIRST) > 0, "what it earned before, it has");
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NeverEarns.selector, BOB, FIRST + 1));
        rewards.claim(BOB, FIRST + 1);
        (uint256 amount,,,) = rewards.preview(BOB);
        vm.assertEq(amount, 0, "nothing to come");
        governList(abi.encodeCall(rewards.readmit, (BOB)));
        (amount,,,) = rewards.preview(BOB);
        vm.assertTrue(amount > 0, "something to come");
        vm.warp(Quarter.ends(FIRST + 2));
        rewards.open(FIRST + 2);
        vm.assertTrue(rewards.claim(BOB, FIRST + 2) > 0, "it earns again");
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NeverEarns.selector, BOB, FIRST + 1));
        rewards.claim(BOB, FIRST + 1);
    }

    function test_aChangeTakenBackBeforeTheCloseNeverCounted() public {
        governList(abi.encodeCall(rewards.exclude, (BOB)));
        governList(abi.encodeCall(rewards.readmit, (BOB)));
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        vm.assertEq(rewards.report(FIRST).eligible, ELIGIBLE, "all");
        vm.assertTrue(rewards.claim(BOB, FIRST) > 0, "earned");
    }

    function test_onlyTheGovernorChangesTheList() public {
        bytes[2] memory calls =
            [abi.encodeCall(rewards.exclude, (BOB)), abi.encodeCall(rewards.readmit, (TREASURY))];
        address[3] memory others = [ALICE, GUARDIAN, address(this)];
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 j = 0; j < 3; ++j) {
                vm.prank(others[j]);
                (bool good, bytes memory why) = address(rewards).call(calls[i]);
                vm.assertFalse(good, "refused");
                vm.assertEq(
                    why,
                    abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, others[j]),
                    "why"
                );
            }
            // The governor waits, and the guardian may cancel meanwhile.
            vm.prank(GOVERNOR);
            (bool soon,) = address(rewards).call(calls[i]);
            vm.assertFalse(soon, "not at once");
            announceList(calls[i]);
            vm.prank(GUARDIAN);
            authority.cancel(GOVERNOR, address(rewards), calls[i]);
            vm.warp(block.timestamp + DELAY);
            vm.prank(GOVERNOR);
            vm.expectRevert();
            authority.execute(address(rewards), calls[i]);
        }
    }

    function test_theListHoldsSixtyFourAndNothingTwice() public {
        _refused(
            abi.encodeCall(rewards.exclude, (TREASURY)),
            abi.encodeWithSelector(RewardErrors.ExcludedAlready.selector, TREASURY)
        );
        _refused(
            abi.encodeCall(rewards.readmit, (BOB)),
            abi.encodeWithSelector(RewardErrors.NotExcluded.selector, BOB)
        );
        _refused(
            abi.encodeCall(rewards.exclude, (address(bridge))),
            abi.encodeWithSelector(RewardErrors.NeverEarns.selector, bridge, FIRST)
        );
        for (uint160 i = 1; i < 64; ++i) {
            governList(abi.encodeCall(rewards.exclude, (address(i << 32))));
        }
        _refused(
            abi.encodeCall(rewards.exclude, (BOB)), abi.encodeWithSelector(RewardErrors.ListFull.selector)
        );
        // The longest list can be opened in a block.
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        vm.assertTrue(vm.lastCallGas().gasTotalUsed < 1_000_000, "a long list is not dear");
    }

    function test_theBridgesShareCrossesOnce() public {
        uint256 locked = 500_000_000 ether + 1;
        sendAway(ALICE, address(coin), locked, uint64(NOW + 1 days));
        vm.warp(FIRST_ENDS + 5);
        rewards.open(FIRST);
        uint256 share = POT * locked / ELIGIBLE;
        vm.assertEq(rewards.report(FIRST).share, share, "its share");
        uint64 deadline = uint64(FIRST_ENDS + 5 + 7 days);
        vm.prank(CARL);
        uint64 sequence = rewards.forward(FIRST);
        bytes memory packet = _shareOf(FIRST, locked, share, sequence, deadline);
        vm.assertEq(bridge.outbound(sequence), keccak256(packet), "to the quarter's account");
        vm.assertEq(rewards.report(FIRST).sequence, sequence, "named");
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.ForwardedAlready.selector, FIRST, sequence));
        rewards.forward(FIRST);

        // It expires there and comes back: it is sent again, with the very same coin.
        uint256 owed = rewards.owed();
        deliver(expireThere(packet));
        vm.assertTrue(rewards.report(FIRST).refunded, "came back");
        vm.assertEq(coin.balanceOf(address(rewards)), POT, "all is here again");
        uint64 again = rewards.forward(FIRST);
        vm.assertTrue(again != sequence, "another packet");
        vm.assertEq(rewards.owed(), owed, "nothing more is promised");
        vm.assertEq(coin.balanceOf(address(rewards)), POT - share, "once");
        vm.assertFalse(rewards.report(FIRST).refunded, "on its way");
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.ForwardedAlready.selector, FIRST, again));
        rewards.forward(FIRST);
        rewards.claim(ALICE, FIRST);
        rewards.claim(BOB, FIRST);
        vm.assertLe(coin.balanceOf(address(rewards)), 2, "what rounding leaves");
    }

    function test_aBridgeThatRefusesIsTriedLater() public {
        sendAway(ALICE, address(coin), 500_000_000 ether, uint64(NOW + 1 days));
        vm.warp(FIRST_ENDS);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NotOpen.selector, FIRST));
        rewards.forward(FIRST);
        rewards.open(FIRST);
        vm.prank(GUARDIAN);
        bridge.pauseDirection(IValves.Direction.Send);
        uint256 owed = rewards.owed();
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.DirectionStopped.selector, false));
        rewards.forward(FIRST);
        vm.assertEq(rewards.owed(), owed, "still promised");
        govern(abi.encodeCall(bridge.resumeDirection, (IValves.Direction.Send)));
        vm.assertTrue(rewards.forward(FIRST) != 0, "sent");
    }

    function test_aBridgeWithoutCoinGetsNothing() public {
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.NothingToForward.selector, FIRST));
        rewards.forward(FIRST);
    }

    function test_theReceiverNamesTheQuarterAndWhatWasLocked() public {
        vm.assertEq(
            rewards.receiverOf(FIRST, 500_000_000 ether),
            address(0x4D56019d971e4fe8401E7400000000001fac0006),
            "0x4d56 | locked | quarter | 0x0006"
        );
        vm.assertEq(rewards.receiverOf(0, 0), address(0x4D56000000000000000000000000000000000006), "zero");
    }

    function test_coinThatWaitsInTheRewardsEarnsNothing() public {
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        vm.warp(Quarter.ends(FIRST + 1));
        rewards.open(FIRST + 1);
        // The first pot left the reserve and was not claimed: nobody's holding changed.
        vm.assertEq(rewards.report(FIRST + 1).eligible, ELIGIBLE, "as before");
    }

    function test_aLateOpeningCountsEachQuarterAsItWas() public {
        vm.warp(FIRST_ENDS + 10);
        give(BOB, CARL, 300_000_000 ether);
        vm.warp(Quarter.ends(FIRST + 1) + 10);
        give(CARL, TREASURY, 300_000_000 ether);
        vm.warp(Quarter.ends(FIRST + 2) + 10);
        for (uint64 i = 0; i < 3; ++i) {
            rewards.open(FIRST + i);
        }
        uint256 share = POT * 300_000_000 ether / ELIGIBLE;
        (uint256 earned,) = rewards.earned(BOB, FIRST);
        vm.assertEq(earned, share, "Bob the first");
        (earned,) = rewards.earned(CARL, FIRST + 1);
        vm.assertEq(earned, share, "Carl the second");
        vm.assertEq(rewards.report(FIRST + 1).eligible, ELIGIBLE, "second");
        vm.assertEq(rewards.report(FIRST + 2).eligible, ELIGIBLE - 300_000_000 ether, "third");
    }

    function test_previewIsWhatTheCloseGives() public {
        sendAway(ALICE, address(coin), 500_000_000 ether, uint64(NOW + 1 days));
        (uint256 amount, uint256 holding, uint256 eligible, uint256 pot) = rewards.preview(BOB);
        vm.assertEq(holding, 300_000_000 ether, "holding");
        vm.assertEq(eligible, ELIGIBLE, "eligible");
        vm.assertEq(pot, POT, "pot");
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        vm.assertEq(rewards.claim(BOB, FIRST), amount, "as foreseen");
        (amount,,,) = rewards.preview(address(bridge));
        vm.assertEq(amount, 0, "paid over there");
    }

    function test_itIsMadeForThisCoinAndThisReserve() public {
        Reserve other = new Reserve(coin, address(0x123));
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.WrongContract.selector, address(other)));
        new QuarterlyRewards(coin, other, bridge, address(authority), _treasury());
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.WrongContract.selector, address(0)));
        new Reserve(MileVerseCoin(address(0)), address(1));
        vm.expectRevert(abi.encodeWithSelector(RewardErrors.WrongContract.selector, address(0)));
        new Reserve(coin, address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManaged.AccessManagedInvalidAuthority.selector, address(0x456))
        );
        new QuarterlyRewards(coin, reserve, bridge, address(0x456), _treasury());
    }

    function _shareOf(uint64 quarter, uint256 locked, uint256 share, uint64 sequence, uint64 deadline)
        private
        view
        returns (bytes memory)
    {
        return Packet.encode(
            Packet.Transfer({
                source: ETHEREUM,
                destination: NATIVE,
                sequence: sequence,
                deadline: deadline,
                home: ETHEREUM,
                token: address(coin),
                sender: address(rewards),
                receiver: rewards.receiverOf(quarter, locked),
                amount: share,
                acknowledge: false
            })
        );
    }

    function _refused(bytes memory call, bytes memory why) private {
        announceList(call);
        vm.warp(block.timestamp + DELAY);
        vm.prank(GOVERNOR);
        (bool good, bytes memory found) =
            address(authority).call(abi.encodeCall(authority.execute, (address(rewards), call)));
        vm.assertFalse(good, "refused");
        vm.assertEq(found, why, "why");
    }
}
