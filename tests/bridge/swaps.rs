//! What members swap: with the pool on the native chain, which moves the price, and across the chains in
//! one action, with every kind of least and deadline.
//!
//! ```txt
//! from Ethereum       `sendSwap` of the bridge: one packet that asks for the swap where it arrives
//! from the native     `swapAndSend` of the router: swapped at once, and a packet with what came of it
//! ```

use super::load::{BOTH, Kind, Load, confirmed};
use alloy::{
    primitives::{Address, U256, uint},
    sol_types::SolCall as _,
};
use mileverse_bindings::Bridge;
use mileverse_primitives::{
    abi::ICoin,
    address::POINTS,
    exchange::{POOL, Pool, ROUTER, SwapRouter},
};
use mileverse_wallet::rpc::Chain;
use rand::{Rng as _, rngs::StdRng};

/// What the first member provides: 40,000 MVP and 400 MVC.
const POOL_POINTS: U256 = uint!(40_000_000_000_U256);
const POOL_COINS: U256 = uint!(400_000_000_000_000_000_000_U256);
const POINT: u64 = 1_000_000;
/// A hundredth of an MVC.
const CENTICOIN: u64 = 10_000_000_000_000_000;

/// Somebody who receives swapped tokens and does nothing else.
fn stranger(kind: Kind) -> Address {
    let byte = match (kind.from, kind.home) {
        (Chain::Native, Chain::Native) => 0xb1,
        (Chain::Native, Chain::Ethereum) => 0xb2,
        (Chain::Ethereum, Chain::Native) => 0xb3,
        (Chain::Ethereum, Chain::Ethereum) => 0xb4,
    };
    Address::repeat_byte(byte)
}

/// About so many points, or coin of about that worth at first.
fn worth(home: Chain, points: u64) -> U256 {
    match home {
        Chain::Native => U256::from(points) * U256::from(POINT),
        Chain::Ethereum => U256::from(points) * U256::from(CENTICOIN),
    }
}

impl Load<'_> {
    /// Fills the pool out of what the first member has, and lets pool and router take everybody's points.
    pub async fn open_pool(&mut self) {
        let native = Chain::Native;
        for member in 0..self.members() {
            for spender in [POOL, ROUTER] {
                let allow = ICoin::approveCall {
                    spender,
                    amount: U256::MAX,
                };
                self.call(native, member, POINTS, U256::ZERO, allow.abi_encode())
                    .await;
            }
        }
        let provide = Pool::provideCall {
            most0: POOL_POINTS,
            most1: POOL_COINS,
            leastShares: U256::ONE,
            receiver: self.address(0),
            deadline: U256::MAX,
        };
        let hash = self
            .call(native, 0, POOL, POOL_COINS, provide.abi_encode())
            .await;
        confirmed(&self.net.native, hash).await;
    }

    /// Of both tokens the one that a member has enough of on the native chain.
    async fn affordable(&self, member: usize, home: Chain, points: u64) -> Chain {
        let account = self.address(member);
        let held = self.net.held(Chain::Native, home, account).await;
        match held < worth(home, points) * U256::from(4) {
            true => home.other(),
            false => home,
        }
    }

    /// A swap on the native chain, large enough that the price is another one: up to a twentieth of the
    /// pool's side.
    pub async fn trade(&mut self, dice: &mut StdRng) {
        let member = dice.random_range(0..self.members());
        let home = BOTH[dice.random_range(0..2)];
        let points = dice.random_range(50..2_000);
        let home = self.affordable(member, home, points).await;
        let amount = worth(home, points);
        let call = Pool::exactInCall {
            tokenIn: self.net.token(Chain::Native, home),
            amountIn: amount,
            leastOut: U256::ZERO,
            receiver: self.address(member),
            deadline: U256::MAX,
        };
        let value = match home {
            Chain::Native => U256::ZERO,
            Chain::Ethereum => amount,
        };
        self.call(Chain::Native, member, POOL, value, call.abi_encode())
            .await;
        self.trades += 1;
    }

    /// A swap across the chains: either way, of either token, for oneself or somebody else, at the
    /// price of this moment less something, or at one that nobody will give, with much time or little.
    pub async fn swap(&mut self, dice: &mut StdRng) {
        let from = BOTH[dice.random_range(0..2)];
        let home = BOTH[dice.random_range(0..2)];
        let member = dice.random_range(0..self.members());
        let points = dice.random_range(1..200);
        let of_quote = match dice.random_range(0..8) {
            0 => dice.random_range(15_000..30_000u64),
            1..=4 => dice.random_range(9_900..=10_000),
            _ => dice.random_range(1..9_000),
        };
        let seconds = match dice.random_ratio(1, 6) {
            true => dice.random_range(2..8),
            false => 6 * 3_600,
        };
        let swap_seconds = match dice.random_ratio(1, 8) {
            true => dice.random_range(0..2),
            false => 3_600,
        };
        let is_own = dice.random_bool(0.5);

        let account = self.address(member);
        let (home, amount) = match from {
            Chain::Native => {
                let home = self.affordable(member, home, points).await;
                (home, worth(home, points))
            }
            // Points are there only if some have come over; what is there goes back.
            Chain::Ethereum => {
                let held = self.net.held(from, Chain::Native, account).await;
                match home == Chain::Native && held > U256::from(POINT) {
                    true => (home, held.min(worth(home, points))),
                    false => (Chain::Ethereum, worth(Chain::Ethereum, points)),
                }
            }
        };
        let quote = Pool::quoteExactInCall {
            tokenIn: self.net.token(Chain::Native, home),
            amountIn: amount,
        };
        let quoted = self.net.native.view(POOL, &quote).await.unwrap().amountOut;
        let least = quoted * U256::from(of_quote) / U256::from(10_000);
        let least = least.max(U256::ONE);
        let receiver = match is_own {
            true => account,
            false => stranger(Kind { from, home }),
        };
        let now = self.now().await;
        let token = self.net.token(from, home);
        let (to, value, input) = match from {
            Chain::Ethereum => {
                let call = Bridge::sendSwapCall {
                    token,
                    receiver,
                    amount,
                    deadline: now + seconds,
                    least,
                };
                (self.net.contracts.bridge, U256::ZERO, call.abi_encode())
            }
            Chain::Native => {
                let call = SwapRouter::swapAndSendCall {
                    tokenIn: token,
                    amountIn: amount,
                    leastOut: least,
                    swapDeadline: now + swap_seconds,
                    receiver,
                    packetDeadline: now + seconds,
                };
                let value = match home {
                    Chain::Native => U256::ZERO,
                    Chain::Ethereum => amount,
                };
                (ROUTER, value, call.abi_encode())
            }
        };
        self.call(from, member, to, value, input).await;
        self.swaps += 1;
    }
}
