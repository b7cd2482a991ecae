//! Random histories: points are conserved, and the bridge's books balance at every step.

use super::{
    bridge::{check_books, send, totals},
    ethereum::{Ethereum, coin_token, points_token},
    support::{Chain, ISSUER, Send},
};
use alloy::primitives::{Address, B256, U256};
use mileverse_execution::SentPacket;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints},
    address::{BRIDGE, COIN, POINTS},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Move {
    Issue {
        to: usize,
        amount: u64,
        id: u8,
    },
    Transfer {
        from: usize,
        to: usize,
        amount: u64,
    },
    Approve {
        from: usize,
        spender: usize,
        amount: u64,
    },
    TransferFrom {
        spender: usize,
        from: usize,
        to: usize,
        amount: u64,
    },
    Send {
        from: usize,
        amount: u64,
    },
}

fn moves() -> impl Strategy<Value = Move> {
    let user = 0usize..5;
    let amount = 0u64..400;
    prop_oneof![
        (user.clone(), amount.clone(), 0u8..6).prop_map(|(to, amount, id)| Move::Issue {
            to,
            amount,
            id
        }),
        (user.clone(), user.clone(), amount.clone())
            .prop_map(|(from, to, amount)| Move::Transfer { from, to, amount }),
        (user.clone(), user.clone(), amount.clone()).prop_map(|(from, spender, amount)| {
            Move::Approve {
                from,
                spender,
                amount,
            }
        }),
        (user.clone(), user.clone(), user.clone(), amount.clone()).prop_map(
            |(spender, from, to, amount)| Move::TransferFrom {
                spender,
                from,
                to,
                amount
            }
        ),
        (user, amount).prop_map(|(from, amount)| Move::Send { from, amount }),
    ]
}

fn to_send(chain: &Chain, one: &Move) -> Send {
    let number = |amount: &u64| U256::from(*amount);
    match one {
        Move::Issue { to, amount, id } => Send::call(
            ISSUER,
            POINTS,
            &IPoints::issueCall {
                to: chain.user(*to),
                amount: number(amount),
                conversionId: B256::repeat_byte(*id),
            },
        ),
        Move::Transfer { from, to, amount } => Send::call(
            *from,
            POINTS,
            &IPoints::transferCall {
                to: chain.user(*to),
                amount: number(amount),
            },
        ),
        Move::Approve {
            from,
            spender,
            amount,
        } => Send::call(
            *from,
            POINTS,
            &IPoints::approveCall {
                spender: chain.user(*spender),
                amount: number(amount),
            },
        ),
        Move::TransferFrom {
            spender,
            from,
            to,
            amount,
        } => Send::call(
            *spender,
            POINTS,
            &IPoints::transferFromCall {
                from: chain.user(*from),
                to: chain.user(*to),
                amount: number(amount),
            },
        ),
        Move::Send { from, amount } => {
            let call = send(
                POINTS,
                Address::repeat_byte(0x42),
                *amount,
                chain.now + 3600,
            );
            Send::call(*from, BRIDGE, &call)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn points_are_conserved(blocks in proptest::collection::vec(proptest::collection::vec(moves(), 0..8), 1..8)) {
        let mut chain = Chain::new();
        for block in blocks {
            let sends: Vec<_> = block.iter().map(|one| to_send(&chain, one)).collect();
            chain.block(&sends);
            let holders = (0..5).map(|user| chain.user(user)).chain([BRIDGE]);
            let held: U256 = holders.map(|holder| chain.points(holder)).sum();
            prop_assert_eq!(held, chain.view(POINTS, IPoints::totalSupplyCall {}));
            prop_assert_eq!(held, chain.view(POINTS, IPoints::totalIssuedCall {}));
            let issued: U256 = (0u8..6)
                .map(|id| chain.view(POINTS, IPoints::issuedCall { conversionId: B256::repeat_byte(id) }))
                .sum();
            prop_assert_eq!(held, issued);
            check_books(&chain);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// From the native chain; `coin` or points.
    Out {
        coin: bool,
        user: usize,
        amount: u64,
        lifetime: u64,
    },
    /// From Ethereum.
    In {
        coin: bool,
        user: usize,
        amount: u64,
        lifetime: u64,
    },
    /// A relayer brings the native chain's packets to Ethereum, some of them again.
    ToEthereum { from: usize },
    /// A relayer brings Ethereum's packets here, some of them again.
    ToNative { from: usize },
    /// Time passes on one side.
    Wait { native: bool, seconds: u64 },
}

fn steps() -> impl Strategy<Value = Step> {
    let user = 0usize..4;
    let amount = 1u64..300;
    let lifetime = 1u64..60;
    prop_oneof![
        3 => (any::<bool>(), user.clone(), amount.clone(), lifetime.clone())
            .prop_map(|(coin, user, amount, lifetime)| Step::Out { coin, user, amount, lifetime }),
        3 => (any::<bool>(), user, amount, lifetime)
            .prop_map(|(coin, user, amount, lifetime)| Step::In { coin, user, amount, lifetime }),
        2 => (0usize..3).prop_map(|from| Step::ToEthereum { from }),
        2 => (0usize..3).prop_map(|from| Step::ToNative { from }),
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
        let mut chain = Chain::new();
        for user in 0..4 {
            chain.issue(user, 500);
        }
        Self {
            chain,
            ethereum: Ethereum {
                asks: true,
                ..Ethereum::new()
            },
            outbox: Vec::new(),
            to_ethereum: 0,
            to_native: 1,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Out {
                coin,
                user,
                amount,
                lifetime,
            } => {
                let token = if coin { COIN } else { POINTS };
                let call = send(
                    token,
                    Address::repeat_byte(0x42),
                    amount,
                    self.chain.now + lifetime,
                );
                let value = U256::from(if coin { amount } else { 0 });
                let sender = self.chain.user(user);
                // A transaction that cannot pay its value is not even valid.
                if self.chain.account(sender).balance >= value {
                    // Every third wants to know.
                    let call = if amount.is_multiple_of(3) {
                        Send::call(user, BRIDGE, &super::acknowledged::asking(&call))
                    } else {
                        Send::call(user, BRIDGE, &call)
                    };
                    let output = self.chain.block(&[call.value(value)]);
                    self.outbox.extend(output.packets);
                }
            }
            Step::In {
                coin,
                user,
                amount,
                lifetime,
            } => {
                let receiver = self.chain.user(user);
                let deadline = self.chain.now + lifetime;
                if coin {
                    self.ethereum.send(coin_token(), receiver, amount, deadline);
                } else {
                    let sums = self.ethereum.points;
                    let supply = sums.received + sums.refunded - sums.sent;
                    if supply >= amount {
                        self.ethereum
                            .send(points_token(), receiver, amount, deadline);
                    }
                }
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
                let first = self.to_native.saturating_sub(from as u64).max(1);
                // What was refunded meanwhile has no commitment left to prove.
                let sequences: Vec<u64> = (first..=snapshot.packets.len() as u64)
                    .filter(|sequence| {
                        snapshot.outbound[sequence] == snapshot.packets[sequence].commitment()
                    })
                    .take(100)
                    .collect();
                self.to_native = snapshot.packets.len() as u64 + 1;
                if !sequences.is_empty() {
                    let output = super::bridge::deliver(&mut self.chain, &snapshot, &sequences);
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

    /// `locked == minted + in flight both ways`, and the real amounts are the books'.
    fn check(&mut self) {
        check_books(&self.chain);
        let number = |word: U256| word.to::<u64>();
        let native = |token| {
            let sums: IBridge::Totals = totals(&self.chain, token);
            (
                number(sums.sent),
                number(sums.received),
                number(sums.refunded),
            )
        };
        let (p, c) = (self.ethereum.points, self.ethereum.coin);
        for (home, away) in [
            (native(POINTS), (p.sent, p.received, p.refunded)),
            ((c.sent, c.received, c.refunded), native(COIN)),
        ] {
            let locked = home.0 - home.1 - home.2;
            let minted = away.1 + away.2 - away.0;
            let outward = home.0 - home.2 - away.1;
            let homeward = away.0 - away.2 - home.1;
            assert_eq!(locked, minted + outward + homeward);
        }
        let users: U256 = (0..5)
            .map(|user| self.chain.account(self.chain.user(user)).balance)
            .sum();
        assert_eq!(users, self.chain.view(COIN, ICoin::totalSupplyCall {}));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_books_balance_through_any_history(history in proptest::collection::vec(steps(), 1..30)) {
        let mut world = World::new();
        for step in &history {
            world.take(step);
            world.check();
        }
        // However it went, relaying ends it: nothing stays in flight, and nothing is lost.
        for _ in 0..4 {
            world.take(&Step::ToEthereum { from: 0 });
            world.take(&Step::ToNative { from: 0 });
            world.check();
        }
        let points: U256 = (0..5).map(|user| world.chain.points(world.chain.user(user))).sum();
        let away = world.ethereum.points;
        prop_assert_eq!(
            points + U256::from(away.received + away.refunded - away.sent),
            U256::from(2000)
        );
        super::acknowledged::check_ends(&world.chain, &world.ethereum, &world.outbox);
    }
}
