//! Random swaps both ways, deliveries and trades in between: received xor refunded, and the books agree.

use super::{COIN_UNIT, HOUR, SENDER, SOMEBODY, check, quote, route, swap};
use crate::{
    bridge::{outbound, receipt},
    ethereum::{Ethereum, coin_token, points_token},
    exchange::{PROVIDER, TRADER, open, points},
    support::{Chain, Send, TREASURY},
};
use alloy::primitives::{Address, U256};
use mileverse_execution::SentPacket;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints},
    address::{BRIDGE, COIN, POINTS, STAKING},
    exchange::{POOL, Pool, ROUTER, SwapRouter},
    packet::{ACKNOWLEDGED, Packet, REFUNDED, Token},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// From Ethereum, with a least of so many percent of what the pool gives now.
    In {
        coin: bool,
        amount: u64,
        percent: u64,
        lifetime: u64,
    },
    /// Without an action.
    Plain {
        amount: u64,
    },
    /// From here, swapped first.
    Out {
        coin: bool,
        amount: u64,
        lifetime: u64,
    },
    /// Somebody trades, and the price moves.
    Trade {
        coin: bool,
        amount: u64,
    },
    ToEthereum {
        from: usize,
    },
    ToNative {
        from: u64,
    },
    Wait {
        native: bool,
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let amount = 1u64..5_000;
    let lifetime = 1u64..60;
    prop_oneof![
        4 => (any::<bool>(), amount.clone(), 97u64..102, lifetime.clone())
            .prop_map(|(coin, amount, percent, lifetime)| Step::In { coin, amount, percent, lifetime }),
        1 => (1u64..300).prop_map(|amount| Step::Plain { amount }),
        2 => (any::<bool>(), amount.clone(), lifetime)
            .prop_map(|(coin, amount, lifetime)| Step::Out { coin, amount, lifetime }),
        2 => (any::<bool>(), amount).prop_map(|(coin, amount)| Step::Trade { coin, amount: amount * 40_000 }),
        1 => (0usize..3).prop_map(|from| Step::ToEthereum { from }),
        2 => (0u64..3).prop_map(|from| Step::ToNative { from }),
        1 => (any::<bool>(), 1u64..50).prop_map(|(native, seconds)| Step::Wait { native, seconds }),
    ]
}

/// Both chains and what is known to be under way.
struct World {
    chain: Chain,
    ethereum: Ethereum,
    outbox: Vec<SentPacket>,
    to_ethereum: usize,
    to_native: u64,
}

impl World {
    fn new() -> Self {
        let mut chain = open();
        chain.thorough = false;
        let allow = ICoin::approveCall {
            spender: ROUTER,
            amount: U256::MAX,
        };
        let out = IBridge::sendCall {
            token: POINTS,
            receiver: SENDER,
            amount: points(1_000_000),
            deadline: chain.now + HOUR,
        };
        let output = chain.block(&[
            Send::call(TRADER, POINTS, &allow),
            Send::call(PROVIDER, BRIDGE, &out),
        ]);
        let mut world = Self {
            chain,
            ethereum: Ethereum::new(),
            outbox: output.packets,
            to_ethereum: 0,
            to_native: 1,
        };
        world.ethereum.asks = true;
        world.take(&Step::ToEthereum { from: 0 });
        world
    }

    /// A token here and on its way, and so many hundredths of it.
    fn of(coin: bool, hundredths: u64) -> (Address, Token, U256) {
        let hundredths = U256::from(hundredths);
        if coin {
            // A coin is about 100 points.
            let each = U256::from(COIN_UNIT / 10_000);
            (COIN, coin_token(), hundredths * each)
        } else {
            (POINTS, points_token(), hundredths * U256::from(10_000))
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::In {
                coin,
                amount,
                percent,
                lifetime,
            } => {
                let (here, token, amount) = Self::of(coin, amount);
                let sums = self.ethereum.points;
                if !coin && U256::from(sums.received + sums.refunded - sums.sent) < amount {
                    return;
                }
                let now = quote(&self.chain, here, amount);
                let least = now * U256::from(percent) / U256::from(100);
                let deadline = self.chain.now + lifetime;
                swap(
                    &mut self.ethereum,
                    token,
                    amount.to(),
                    SOMEBODY,
                    deadline,
                    least,
                );
            }
            Step::Plain { amount } => {
                let deadline = self.chain.now + 30;
                self.ethereum.send(coin_token(), SOMEBODY, amount, deadline);
            }
            Step::Out {
                coin,
                amount,
                lifetime,
            } => {
                let (here, _, amount) = Self::of(coin, amount);
                let call = SwapRouter::swapAndSendCall {
                    tokenIn: here,
                    amountIn: amount,
                    leastOut: U256::ONE,
                    swapDeadline: self.chain.now,
                    receiver: SOMEBODY,
                    packetDeadline: self.chain.now + lifetime,
                };
                let value = if coin { amount } else { U256::ZERO };
                let send = Send::call(TRADER, ROUTER, &call).value(value);
                let output = self.chain.block(&[send]);
                assert!(output.receipts[0].success);
                self.outbox.extend(output.packets);
            }
            Step::Trade { coin, amount } => {
                let (here, _, amount) = Self::of(coin, amount);
                let call = Pool::exactInCall {
                    tokenIn: here,
                    amountIn: amount,
                    leastOut: U256::ONE,
                    receiver: self.chain.user(TRADER),
                    deadline: U256::MAX,
                };
                let value = if coin { amount } else { U256::ZERO };
                self.chain
                    .send(Send::call(TRADER, POOL, &call).value(value));
            }
            Step::ToEthereum { from } => {
                let first = self.to_ethereum.saturating_sub(from);
                for packet in &self.outbox[first..] {
                    self.ethereum.receive(packet);
                }
                self.to_ethereum = self.outbox.len();
            }
            Step::ToNative { from } => {
                let snapshot = self.ethereum.snapshot();
                let first = self.to_native.saturating_sub(from).max(1);
                let sequences: Vec<u64> = (first..=snapshot.packets.len() as u64)
                    .filter(|sequence| {
                        snapshot.outbound[sequence] == snapshot.packets[sequence].commitment()
                    })
                    .take(20)
                    .collect();
                if let Some(last) = sequences.last() {
                    self.to_native = last + 1;
                    let output = route(&mut self.chain, &snapshot, &sequences);
                    self.outbox.extend(output.packets);
                }
            }
            Step::Wait {
                native: true,
                seconds,
            } => self.chain.now += seconds,
            Step::Wait {
                native: false,
                seconds,
            } => self.ethereum.now += seconds,
        }
    }

    /// Everybody's tokens here are all there are, and the bridge's are the books'.
    fn check(&self) {
        check(&self.chain);
        let users = (0..5).map(|user| self.chain.user(user));
        let holders: Vec<_> = users
            .chain([POOL, SOMEBODY, STAKING, BRIDGE, TREASURY])
            .collect();
        let sum: U256 = holders.iter().map(|one| self.chain.points(*one)).sum();
        assert_eq!(sum, self.chain.view(POINTS, IPoints::totalSupplyCall {}));
        assert_eq!(sum, points(800_000_000));
        let sum: U256 = holders
            .iter()
            .map(|one| self.chain.account(*one).balance)
            .sum();
        assert_eq!(sum, self.chain.view(COIN, ICoin::totalSupplyCall {}));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 100, ..ProptestConfig::default() })]

    /// Prices, deadlines and directions at random: each packet is received or refunded, never both and
    /// never neither, and the books are exact at every step.
    #[test]
    fn every_swap_has_one_end(history in proptest::collection::vec(steps(), 1..25)) {
        let mut world = World::new();
        for step in &history {
            world.take(step);
            world.check();
        }
        for _ in 0..8 {
            world.take(&Step::ToEthereum { from: 0 });
            world.take(&Step::ToNative { from: 0 });
            world.check();
        }
        for (sequence, packet) in &world.ethereum.packets {
            let outcome = receipt(&world.chain, *sequence);
            let refunded = world.ethereum.outbound[sequence] == REFUNDED;
            let is_transfer = matches!(packet, Packet::Transfer(_));
            prop_assert_eq!(
                (outcome, refunded),
                if is_transfer && refunded { (2, true) } else { (1, false) },
                "{}", sequence
            );
            let acknowledged = world.ethereum.outbound[sequence] == ACKNOWLEDGED;
            prop_assert_eq!(acknowledged, packet.asks() && outcome == 1, "{}", sequence);
        }
        for sent in &world.outbox {
            let refunded = outbound(&world.chain, sent.sequence) == REFUNDED;
            let outcome = world.ethereum.receipts[&sent.sequence];
            prop_assert_eq!(refunded, outcome == 2);
        }
    }
}
