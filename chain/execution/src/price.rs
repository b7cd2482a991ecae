//! What gas costs outside of the points lane.
//!
//! Every block has the same base fee, `fees.basePrice` of the genesis file, and a transaction must
//! offer at least that: its sender pays base fee and tip as EIP-1559 says, up to its cap. Nothing is
//! burned; all of it goes to the block's beneficiary.
//!
//! | offered | what it is | |
//! |---|---|---|
//! | the base fee or more | anything | paid with coin (`payer` says whose) |
//! | less | a delivery over the bridge or from a peer, or the release of a transfer that waited, at the bridge or through the router | pays what it offers, if it admits a packet; otherwise no block may hold it |
//! | less | anything else | no block may hold it, unless somebody else pays (`payer`) |
//!
//! So a relayer needs no coin, and what it does for nothing is bounded: each packet is admitted once,
//! somebody paid Ethereum or a peer for it, and [`GAS_PER_PACKET`] bounds what it may cost here. Deliveries that
//! admit nothing cost their sender nothing either, so they must cost nodes little: they are tried
//! before they wait in a pool, a leader lets go of one that fails, and gives up after [`MAX_VAIN`] of
//! them in a block.

use crate::{modules::Config, refusal::Refusal, transaction::Transaction};
use alloy::{
    consensus::Transaction as _,
    primitives::{B256, Log},
    sol_types::SolEvent as _,
};
use mileverse_primitives::{
    abi::{IBridge, IPeers, IValves},
    address::{BRIDGE, PEERS},
    fees::Carried,
};

/// Most gas of a delivery for each packet that it admits, and once more for what they share.
pub(crate) const GAS_PER_PACKET: u64 = 1_000_000;
/// Deliveries that a leader tries in vain for one block.
pub(crate) const MAX_VAIN: usize = 8;

/// How a transaction outside of the lane pays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Terms {
    /// With coin.
    Coin,
    /// By being of use.
    Delivery,
}

/// What a transaction outside of the lane pays by.
pub(crate) fn terms(config: &Config, transaction: &Transaction) -> Terms {
    if transaction.max_fee_per_gas() >= base_of(config) {
        return Terms::Coin;
    }
    let envelope = transaction.envelope();
    let carried = envelope
        .to()
        .and_then(|to| Carried::of(to, envelope.input()));
    if carried == Some(Carried::Delivery) {
        return Terms::Delivery;
    }
    Terms::Coin
}

/// Why no block takes a transaction that offers too little for one gas.
pub(crate) fn underpriced(config: &Config, cap: u128) -> Refusal {
    let base = base_of(config);
    Refusal::for_good(format!(
        "transaction underpriced: gas fee cap {cap}, minimum needed {base}"
    ))
}

/// The base fee of every block.
fn base_of(config: &Config) -> u128 {
    config.fees.base_price.into()
}

/// Whether a delivery was of use.
pub(crate) fn is_of_use(success: bool, gas_used: u64, logs: &[Log]) -> Result<(), Refusal> {
    let admitted = logs.iter().filter(|log| admits(log)).count() as u64;
    let most = GAS_PER_PACKET.saturating_mul(admitted.saturating_add(1));
    if success && admitted > 0 && gas_used <= most {
        return Ok(());
    }
    Err(Refusal::for_good(if success && admitted > 0 {
        format!(
            "a delivery of {admitted} packets that pays no gas price may use {most} gas, not {gas_used}"
        )
    } else {
        "a delivery that admits no packet must pay a gas price; others may have delivered before"
            .into()
    }))
}

fn admits(log: &Log) -> bool {
    let outcomes: &[B256] = match log.address {
        BRIDGE => &[
            IBridge::PacketReceived::SIGNATURE_HASH,
            IBridge::PacketExpired::SIGNATURE_HASH,
            IBridge::PacketRefunded::SIGNATURE_HASH,
            IValves::PacketHeld::SIGNATURE_HASH,
        ],
        PEERS => &[
            IPeers::PacketReceived::SIGNATURE_HASH,
            IPeers::PacketExpired::SIGNATURE_HASH,
            IPeers::PacketRefunded::SIGNATURE_HASH,
            IPeers::PacketHeld::SIGNATURE_HASH,
            IPeers::KeyRotated::SIGNATURE_HASH,
        ],
        _ => &[],
    };
    let mut topics = log.topics().iter();
    topics.next().is_some_and(|topic| outcomes.contains(topic))
}
