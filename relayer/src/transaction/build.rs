//! Building: from call data to stored, signed bytes.

use super::{Sender, nonce::unbroken};
use crate::{
    Error,
    chain::{At, Ledger},
    store::{Payload, SignedRow},
};
use mileverse_primitives::{B256, Bytes, U256};
use mileverse_wallet::{
    rpc::{Chain, RpcError},
    transaction::{Fees, Unsigned, gas_limit},
};

/// What became of an attempt to build and send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Built {
    /// Stored, and on its way.
    Sent(B256),
    /// The chain would refuse it; nothing was signed.
    Refused(String),
    /// It would use too much gas; nothing was signed.
    TooLarge {
        /// What it would use.
        gas: u64,
    },
    /// As many transactions wait as may; nothing was signed.
    Busy,
    /// A packet would cost more than it is worth for now; nothing was signed.
    Dear {
        /// What each would cost, in wei.
        each: u128,
    },
}

impl Sender {
    /// Signs a call, stores it, and broadcasts it. `packets` is what is in it, `oldest_ms` when the
    /// first of that was found.
    pub async fn send(
        &self,
        ledger: &impl Ledger,
        input: Bytes,
        packets: Vec<u64>,
        oldest_ms: u64,
    ) -> Result<Built, Error> {
        let account = self.account();
        let estimate = match ledger.estimate(account, input.clone()).await {
            Ok(estimate) => estimate,
            Err(RpcError::Reverted { reason, .. }) => return Ok(Built::Refused(reason)),
            Err(RpcError::Refused { message, .. }) if about_gas(&message) => {
                return Ok(Built::TooLarge { gas: u64::MAX });
            }
            Err(error) => return Err(error.into()),
        };
        let Some(gas_limit) = gas_limit(estimate, self.limits.max_gas) else {
            return Ok(Built::TooLarge { gas: estimate });
        };
        let fees = self.affordable(ledger.chain(), ledger.fees().await?)?;
        if let Some(each) = self.too_dear(estimate, fees, packets.len(), oldest_ms) {
            self.metrics.transaction(&self.way, "dear");
            return Ok(Built::Dear { each });
        }
        let next = ledger.nonce(account, At::Latest).await?;
        let rows = self.stored().await?;
        let nonce = unbroken(next, rows.iter().map(|row| row.nonce));
        let waiting = usize::try_from(nonce.saturating_sub(next)).unwrap_or(usize::MAX);
        if waiting >= self.limits.in_flight {
            return Ok(Built::Busy);
        }
        let (row, payload) = self
            .sign(ledger, nonce, gas_limit, fees, input, packets)
            .await?;
        self.store.store_signed(self.lane, &row, &payload).await?;
        self.metrics.transaction(&self.way, "signed");
        tracing::info!(
            lane = %self.lane, hash = %row.hash, nonce, gas_limit,
            packets = row.packets.len(), first = ?row.packets.first(), "transaction signed"
        );
        self.broadcast(ledger, row.hash, payload).await?;
        Ok(Built::Sent(row.hash))
    }

    pub(super) async fn sign(
        &self,
        ledger: &impl Ledger,
        nonce: u64,
        gas_limit: u64,
        fees: Fees,
        input: Bytes,
        packets: Vec<u64>,
    ) -> Result<(SignedRow, Payload), Error> {
        let unsigned = Unsigned {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            fees,
            to: ledger.target(&input).await?,
            value: U256::ZERO,
            input,
        };
        let signed = self.signer.sign(&unsigned).await?;
        let row = SignedRow {
            hash: signed.hash,
            account: self.account(),
            nonce,
            gas_limit,
            fees,
            packets,
            created_ms: self.clock.now_ms(),
            broadcast_ms: 0,
            outcome: None,
        };
        let payload = Payload {
            raw: signed.raw,
            input: unsigned.input,
        };
        Ok((row, payload))
    }

    /// What each packet would cost, if that is too much for now.
    fn too_dear(&self, gas: u64, fees: Fees, packets: usize, oldest_ms: u64) -> Option<u128> {
        let profit = self.limits.profit?;
        let waited = self.clock.now_ms().saturating_sub(oldest_ms);
        if u128::from(waited) >= profit.longest_wait.as_millis() {
            return None;
        }
        let count = u128::try_from(packets.max(1)).unwrap_or(u128::MAX);
        let each = u128::from(gas).saturating_mul(fees.most()) / count;
        (each > profit.most_per_packet).then_some(each)
    }

    fn affordable(&self, chain: Chain, fees: Fees) -> Result<Fees, Error> {
        if fees.most() > self.limits.max_fee {
            return Err(Error::TooDear {
                chain,
                needed: fees.most(),
                allowed: self.limits.max_fee,
            });
        }
        Ok(fees)
    }
}

/// Whether a node refuses a call for its gas alone.
pub(crate) fn about_gas(message: &str) -> bool {
    let message = message.to_lowercase();
    !message.contains("insufficient funds")
        && [
            "out of gas",
            "outofgas",
            "gas required exceeds",
            "exceeds block gas limit",
            "intrinsic gas too high",
            "gas limit",
            "gas cap",
        ]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gas_is_about_gas() {
        assert!(about_gas("gas required exceeds allowance (30000000)"));
        assert!(about_gas("Out of gas: gas required exceeds allowance: 5"));
        assert!(!about_gas("insufficient funds for gas * price + value"));
        assert!(!about_gas("header not found"));
    }
}
