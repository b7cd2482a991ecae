// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IQuarterlyRewards} from "../../src/interfaces/IQuarterlyRewards.sol";
import {Packet} from "../../src/libraries/Packet.sol";
import {Quarter} from "../../src/libraries/Quarter.sol";
import {RewardsWorld} from "./RewardsWorld.sol";

/// @notice Random people move coin around the quarters' ends, open, claim, forward, use the bridge, and are
/// excluded and readmitted. Beside it stands a naive recomputation: a full copy of everybody's balance and of
/// the list, taken at each close before anything else happens.
contract RewardsHandler is RewardsWorld {
    /// @dev Five people, then everything else that ever holds coin.
    address[9] private all;
    uint256 private constant PEOPLE = 5;
    uint256 private constant TREASURER = 5;
    uint256 private constant RESERVER = 6;
    uint256 private constant REWARDER = 7;
    uint256 private constant BRIDGER = 8;

    struct Copy {
        uint256[9] balances;
        bool[9] excluded;
    }

    struct Away {
        bytes packet;
        uint64 quarter; // whose share it is; 0 for anybody's coin
        bool settled;
    }

    /// @dev The list as the governor has left it.
    bool[9] private listed;
    mapping(uint64 quarter => Copy) private copies;
    /// @dev The quarter under way as the handler last saw it.
    uint64 private seen = FIRST;

    mapping(uint64 quarter => mapping(uint256 who => bool)) private claimed;
    mapping(uint64 quarter => uint256) private paid;
    mapping(uint64 quarter => uint256) private share;
    mapping(uint64 quarter => uint256) private arrived;
    mapping(uint64 quarter => bool) private travels;
    Away[] private away;
    uint256 private given;
    uint256 private released;
    uint256 private potted;

    function setUp() public override {
        super.setUp();
        all = [
            ALICE,
            BOB,
            address(0xca41),
            address(0xda7e),
            address(0xe7e),
            TREASURY,
            address(0),
            address(0),
            address(0)
        ];
        (all[RESERVER], all[REWARDER], all[BRIDGER]) = (address(reserve), address(rewards), address(bridge));
        listed[TREASURER] = true;
        for (uint256 i = 1; i < PEOPLE; ++i) {
            give(ALICE, all[i], (i * 77_777_777 ether + i) / 2);
        }
        for (uint256 i = 0; i < PEOPLE; ++i) {
            vm.startPrank(all[i]);
            coin.approve(address(bridge), type(uint256).max);
            coin.approve(address(rewards), type(uint256).max);
            vm.stopPrank();
        }
    }

    function transfer(uint256 from, uint256 to, uint256 amount) external {
        address sender = all[from % (PEOPLE + 1)];
        uint256 has = coin.balanceOf(sender);
        // All, nothing, and anything between; to anybody, the sender and the contracts among them.
        amount = amount % 5 == 0 ? has : amount % 7 == 0 ? 0 : bound(amount >> 8, 0, has);
        give(sender, all[to % 16 < 15 ? to % (PEOPLE + 1) : RESERVER + to % 2], amount);
    }

    /// @notice Time goes on: a little, to a quarter's last second or first, or over several of them.
    function wait_(uint256 how, uint256 by) external {
        uint256 end = Quarter.ends(coin.currentQuarter());
        uint256 quarters = how % 8 == 7 ? 1 + by % 3 : 1;
        if (how % 8 < 2) {
            _until(block.timestamp + 1 + by % 10 days);
        } else if (how % 8 == 2) {
            _until(end - 1 > block.timestamp ? end - 1 : end);
        } else {
            for (uint256 i = 0; i < quarters; ++i) {
                _until(Quarter.ends(coin.currentQuarter()));
            }
        }
    }

    function open(uint256) external {
        uint64 quarter = rewards.nextQuarter();
        uint256 before = coin.balanceOf(address(reserve));
        uint256 available = rewards.available();
        (bool good,) = address(rewards).call(abi.encodeCall(rewards.open, (quarter)));
        vm.assertEq(good, quarter < seen, "as soon as it is over");
        if (!good) return;
        uint256 got = before - coin.balanceOf(address(reserve));
        vm.assertEq(got, before < POT ? before : POT, "released");
        released += got;
        Copy storage copy = copies[quarter];
        uint256 eligible;
        for (uint256 i = 0; i < 9; ++i) {
            if (i != RESERVER && i != REWARDER && !copy.excluded[i]) eligible += copy.balances[i];
        }
        IQuarterlyRewards.Report memory report = rewards.report(quarter);
        uint256 here = got + available;
        vm.assertEq(report.pot, eligible == 0 ? 0 : here < POT ? here : POT, "pot");
        vm.assertEq(report.eligible, eligible, "eligible");
        vm.assertEq(report.locked, copy.balances[BRIDGER], "locked");
        share[quarter] = eligible == 0 ? 0 : report.pot * copy.balances[BRIDGER] / eligible;
        vm.assertEq(report.share, share[quarter], "share");
        potted += report.pot;
    }

    function claim(uint256 who, uint256 which) external {
        uint64 quarter = _quarter(which);
        who %= 9;
        uint256 due = _due(who, quarter);
        (bool good,) = address(rewards).call(abi.encodeCall(rewards.claim, (all[who], quarter)));
        vm.assertEq(good, due != 0, "who has something to get");
        if (good) _count(who, quarter, due);
    }

    function claimBatch(uint256 seed, uint256 which) external {
        uint64 quarter = _quarter(which);
        if (quarter >= rewards.nextQuarter()) return;
        address[] memory accounts = new address[](1 + seed % 12);
        uint256 due;
        for (uint256 i = 0; i < accounts.length; ++i) {
            uint256 who = (seed >> (8 + 4 * i)) % 9;
            accounts[i] = all[who];
            uint256 one = _due(who, quarter);
            if (one != 0) _count(who, quarter, one);
            due += one;
        }
        vm.assertEq(rewards.claimBatch(accounts, quarter), due, "all of them, once");
    }

    function claimQuarters(uint256 who, uint256 which) external {
        uint64 next = rewards.nextQuarter();
        if (next == FIRST) return;
        who %= 9;
        uint64[] memory quarters = new uint64[](1 + which % 5);
        uint256 due;
        for (uint256 i = 0; i < quarters.length; ++i) {
            quarters[i] = FIRST + uint64((which >> (8 + 8 * i)) % (next - FIRST));
            uint256 one = _due(who, quarters[i]);
            if (one != 0) _count(who, quarters[i], one);
            due += one;
        }
        vm.assertEq(rewards.claimQuarters(all[who], quarters), due, "each, once");
    }

    function forward(uint256 which) external {
        uint64 quarter = _quarter(which);
        bool may = quarter < rewards.nextQuarter() && share[quarter] != 0 && !travels[quarter]
            && arrived[quarter] == 0;
        uint64 sequence = bridge.nextSequence();
        (bool good,) = address(rewards).call(abi.encodeCall(rewards.forward, (quarter)));
        vm.assertEq(good, may, "once, or again when it came back");
        if (!good) return;
        travels[quarter] = true;
        away.push(
            Away(
                Packet.encode(
                    Packet.Transfer({
                        source: ETHEREUM,
                        destination: NATIVE,
                        sequence: sequence,
                        deadline: uint64(block.timestamp + 7 days),
                        home: ETHEREUM,
                        token: address(coin),
                        sender: address(rewards),
                        receiver: rewards.receiverOf(quarter, copies[quarter].balances[BRIDGER]),
                        amount: share[quarter],
                        acknowledge: false
                    })
                ),
                quarter,
                false
            )
        );
        vm.assertEq(bridge.outbound(sequence), keccak256(away[away.length - 1].packet), "the packet");
    }

    function depart(uint256 who, uint256 amount) external {
        address sender = all[who % PEOPLE];
        uint256 has = coin.balanceOf(sender);
        if (has == 0) return;
        (, bytes memory packet) =
            sendAway(sender, address(coin), bound(amount, 1, has), uint64(block.timestamp + 1 days));
        away.push(Away(packet, 0, false));
    }

    /// @notice A packet arrives on the native chain, or expires there and comes back.
    function settle(uint256 which, bool arrives) external {
        if (away.length == 0) return;
        Away storage one = away[which % away.length];
        if (one.settled) return;
        one.settled = true;
        if (one.quarter != 0) {
            travels[one.quarter] = false;
            if (arrives) arrived[one.quarter] += share[one.quarter];
        }
        if (!arrives) deliver(expireThere(one.packet));
    }

    function comeHome(uint256 who, uint256 amount) external {
        uint256 has = bridge.locked(address(coin));
        uint256 travelling;
        for (uint256 i = 0; i < away.length; ++i) {
            // What may still be refunded is not the native chain's to send.
            if (!away[i].settled) travelling += this.amountOf(away[i].packet);
        }
        if (has <= travelling) return;
        deliver(
            sendCoinHere(
                all[who % PEOPLE], bound(amount, 1, has - travelling), uint64(block.timestamp + 1 days)
            )
        );
    }

    function fund(uint256 who, uint256 amount) external {
        address from = all[who % PEOPLE];
        uint256 has = coin.balanceOf(from);
        if (has == 0) return;
        amount = bound(amount, 1, has < 2 * POT ? has : 2 * POT);
        vm.prank(from);
        rewards.fund(amount);
        given += amount;
    }

    /// @notice The governor changes the list; a close may lie between announcing and doing.
    function govern_(uint256 who, bool excludes, uint256 late) external {
        who %= PEOPLE + 1;
        bytes memory call = excludes
            ? abi.encodeCall(rewards.exclude, (all[who]))
            : abi.encodeCall(rewards.readmit, (all[who]));
        vm.prank(GOVERNOR);
        (bool announced,) =
            address(authority).call(abi.encodeCall(authority.schedule, (address(rewards), call, 0)));
        if (!announced) return; // the same waits already
        _until(block.timestamp + DELAY + (late % 3 == 0 ? late % 6 days : 0));
        vm.prank(GOVERNOR);
        (bool good,) = address(authority).call(abi.encodeCall(authority.execute, (address(rewards), call)));
        vm.assertEq(
            good, rewards.nextQuarter() == seen && listed[who] != excludes, "when all that is over is open"
        );
        if (good) {
            listed[who] = excludes;
        } else {
            vm.prank(GUARDIAN);
            authority.cancel(GOVERNOR, address(rewards), call);
        }
    }

    /// @notice Reverts unless what everybody holds, held, earned and was paid is what was copied.
    function check() external {
        uint256 sum;
        for (uint256 i = 0; i < 9; ++i) {
            sum += coin.balanceOf(all[i]);
        }
        vm.assertEq(sum, SUPPLY, "no coin made or lost");
        uint64 next = rewards.nextQuarter();
        uint256 unpaid;
        for (uint64 quarter = FIRST; quarter < seen; ++quarter) {
            for (uint256 i = 0; i < 9; ++i) {
                vm.assertEq(
                    coin.balanceAtClose(all[i], quarter), copies[quarter].balances[i], "held at the close"
                );
            }
            if (quarter >= next) continue;
            IQuarterlyRewards.Report memory report = rewards.report(quarter);
            uint256 owed = 0;
            for (uint256 i = 0; i < 9; ++i) {
                (uint256 earned, bool isClaimed) = rewards.earned(all[i], quarter);
                vm.assertEq(earned, _earned(i, quarter), "earned");
                vm.assertEq(isClaimed, claimed[quarter][i], "claimed");
                owed += earned;
            }
            vm.assertEq(report.paid, paid[quarter], "paid");
            vm.assertLe(owed + share[quarter], report.pot, "no more than the pot");
            vm.assertLe(report.pot, owed + share[quarter] + 9, "and no less, but for rounding");
            vm.assertTrue(arrived[quarter] == 0 || arrived[quarter] == share[quarter], "arrived once");
            unpaid += report.pot - report.paid - (report.sequence == 0 ? 0 : report.share);
        }
        vm.assertEq(rewards.owed(), unpaid, "owed");
        vm.assertEq(rewards.available(), released + given - potted, "available");
        vm.assertTrue(rewards.solvent(), "solvent");
        // Coin given to the bridge's address unasked is not locked.
        vm.assertTrue(bridge.solvent(address(coin)), "the bridge has what it locked");
    }

    function _until(uint256 time) private {
        while (time >= Quarter.ends(seen)) {
            Copy storage copy = copies[seen];
            for (uint256 i = 0; i < 9; ++i) {
                copy.balances[i] = coin.balanceOf(all[i]);
                copy.excluded[i] = listed[i];
            }
            ++seen;
        }
        vm.warp(time);
    }

    /// @dev Mostly an open quarter; now and then one that is not.
    function _quarter(uint256 which) private view returns (uint64) {
        uint64 next = rewards.nextQuarter();
        return which % 16 == 0 ? next : FIRST + uint64(which % (next - FIRST + 1));
    }

    function _earned(uint256 who, uint64 quarter) private view returns (uint256) {
        Copy storage copy = copies[quarter];
        if (who >= RESERVER || copy.excluded[who]) return 0;
        uint256 eligible;
        for (uint256 i = 0; i < 9; ++i) {
            if (i != RESERVER && i != REWARDER && !copy.excluded[i]) eligible += copy.balances[i];
        }
        return eligible == 0 ? 0 : rewards.report(quarter).pot * copy.balances[who] / eligible;
    }

    function _due(uint256 who, uint64 quarter) private view returns (uint256) {
        if (quarter >= rewards.nextQuarter() || claimed[quarter][who]) return 0;
        return _earned(who, quarter);
    }

    function _count(uint256 who, uint64 quarter, uint256 amount) private {
        claimed[quarter][who] = true;
        paid[quarter] += amount;
    }

    /// @notice What a packet carries.
    function amountOf(bytes calldata packet) external pure returns (uint256) {
        return Packet.transfer(packet, Packet.header(packet)).amount;
    }
}
