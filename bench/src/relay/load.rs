//! One member's packets, one after another at a steady pace.

use super::system::{System, setup};
use crate::error::Error;
use alloy::{primitives::U256, providers::Provider as _, sol_types::SolCall as _};
use mileverse_primitives::{
    Address, B256,
    abi::{IBridge, ICoin},
    address,
};
use mileverse_wallet::{
    rpc::Endpoint,
    transaction::{Fees, Unsigned, sign},
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{MissedTickBehavior, interval},
};

/// What a packet carries: one of the token's smallest unit.
const AMOUNT: u64 = 1;
/// Seconds until a packet expires.
const LIFETIME: u64 = 24 * 60 * 60;
const SEND_GAS: u64 = 300_000;
/// Most transactions of a backlog that are in no block yet.
const MOST_AHEAD: u64 = 600;
/// Longest wait for the allowance.
const CONFIRM: Duration = Duration::from_secs(60);
const GWEI: u128 = 1_000_000_000;

/// Which way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Points, from the native chain.
    ToEthereum,
    /// Coins, from Ethereum.
    ToNative,
}

impl Way {
    /// Source and destination, each with its bridge.
    pub fn ends(self, system: &System) -> [(Endpoint, Address); 2] {
        let native = (system.native.clone(), address::BRIDGE);
        let ethereum = (system.ethereum.clone(), system.bridge);
        match self {
            Self::ToEthereum => [native, ethereum],
            Self::ToNative => [ethereum, native],
        }
    }
}

/// A sender at the ready.
pub struct Load<'a> {
    system: &'a System,
    endpoint: Endpoint,
    bridge: Address,
    token: Address,
    chain_id: u64,
    fees: Fees,
    nonce: u64,
}

impl<'a> Load<'a> {
    /// Sees to it that the bridge may take the member's tokens.
    pub async fn prepare(system: &'a System, way: Way) -> Result<Self, Error> {
        let [(endpoint, bridge), _] = way.ends(system);
        let (token, fees) = match way {
            Way::ToEthereum => (address::POINTS, Fees::Legacy { price: 0 }),
            Way::ToNative => (
                system.coin,
                Fees::Dynamic {
                    max: 20 * GWEI,
                    tip: GWEI,
                },
            ),
        };
        let account = system.member.address();
        let chain_id = endpoint.provider().get_chain_id().await.map_err(setup)?;
        let nonce = endpoint
            .provider()
            .get_transaction_count(account)
            .await
            .map_err(setup)?;
        let mut load = Self {
            system,
            endpoint,
            bridge,
            token,
            chain_id,
            fees,
            nonce,
        };
        if way == Way::ToNative {
            let call = ICoin::approveCall {
                spender: bridge,
                amount: U256::MAX,
            };
            let hash = load.submit(token, call.abi_encode()).await?;
            load.confirmed(hash).await?;
        }
        Ok(load)
    }

    /// Sends so many packets, or until it is told to stop, and says when each was given to the node.
    pub async fn send(
        mut self,
        packets: u64,
        pause: Duration,
        submitted: UnboundedSender<(B256, Instant)>,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let mut pace = interval(pause);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let call = self.call()?;
        for _ in 0..packets {
            pace.tick().await;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let at = Instant::now();
            let hash = self.submit(self.bridge, call.clone()).await?;
            if submitted.send((hash, at)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Sends so many packets as fast as the source takes them, and waits until all are in blocks.
    pub async fn pile(mut self, packets: u64) -> Result<(), Error> {
        let call = self.call()?;
        let account = self.system.member.address();
        let last = self.nonce.saturating_add(packets);
        let mut included = self.nonce;
        let mut news = Instant::now();
        while included < last {
            let most = included.saturating_add(MOST_AHEAD).min(last);
            while self.nonce < most {
                self.submit(self.bridge, call.clone()).await?;
            }
            let count = self.endpoint.provider().get_transaction_count(account);
            let count = count.await.map_err(setup)?;
            if count > included {
                news = Instant::now();
            } else if news.elapsed() > CONFIRM {
                return Err(setup("the source takes no more packets"));
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            included = count;
        }
        Ok(())
    }

    fn call(&self) -> Result<Vec<u8>, Error> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(setup)?;
        Ok(IBridge::sendCall {
            token: self.token,
            receiver: self.system.member.address(),
            amount: U256::from(AMOUNT),
            deadline: now.as_secs().saturating_add(LIFETIME),
        }
        .abi_encode())
    }

    async fn submit(&mut self, to: Address, input: Vec<u8>) -> Result<B256, Error> {
        let unsigned = Unsigned {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: SEND_GAS,
            fees: self.fees,
            to,
            value: U256::ZERO,
            input: input.into(),
        };
        let signed = sign(&self.system.member, &unsigned).map_err(setup)?;
        // Its receipt is asked for later, by its hash.
        let _ = self
            .endpoint
            .provider()
            .send_raw_transaction(&signed.raw)
            .await
            .map_err(|fault| setup(self.endpoint.fault(fault)))?;
        self.nonce = self.nonce.saturating_add(1);
        Ok(signed.hash)
    }

    async fn confirmed(&self, hash: B256) -> Result<(), Error> {
        let until = Instant::now() + CONFIRM;
        while Instant::now() < until {
            let receipt = self.endpoint.provider().get_transaction_receipt(hash).await;
            match receipt.map_err(setup)? {
                Some(receipt) if receipt.status() => return Ok(()),
                Some(_) => return Err(setup("the coin refused the bridge's allowance")),
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        Err(setup("the bridge's allowance was not confirmed"))
    }
}
