//! Where a chain takes packets in, over JSON-RPC.

use super::{
    At, Door, Inbox, Ledger as _, Pool, ROTATIONS, brings_swap,
    remote::{Remote, dynamic_fees, many, tag},
};
use alloy::{
    primitives::{Address, Bytes, U256},
    providers::Provider,
};
use mileverse_primitives::{
    exchange::ROUTER,
    packet::{ACKNOWLEDGED, REFUNDED},
};
use mileverse_wallet::{
    rpc::{Chain, Endpoint, RpcError, request},
    transaction::Fees,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One chain's endpoints, and where that chain takes packets in.
#[derive(Clone, Debug)]
pub struct Account {
    pool: Pool,
    door: Door,
    /// Whether the chain is known to have the router. It is there from block 0 on, or never.
    has_router: Arc<AtomicBool>,
}

impl Account {
    /// Of these endpoints.
    pub fn new(pool: Pool, door: Door) -> Self {
        Self {
            pool,
            door,
            has_router: Arc::default(),
        }
    }

    async fn has_router(&self) -> Result<bool, RpcError> {
        if self.has_router.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let endpoint = self.endpoint();
        let code = endpoint.provider().get_code_at(ROUTER).await;
        let has = !code.map_err(|fault| endpoint.fault(fault))?.is_empty();
        self.has_router.store(has, Ordering::Relaxed);
        Ok(has)
    }

    /// Where the chain takes packets in.
    pub const fn door(&self) -> Door {
        self.door
    }

    /// The endpoints.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The endpoints as one.
    pub const fn endpoint(&self) -> &Endpoint {
        self.pool.endpoint()
    }

    /// Whether a packet that was sent from here is refunded or acknowledged.
    pub async fn is_ended(&self, sequence: u64) -> Result<bool, RpcError> {
        let stored = self.door.outbound(self.endpoint(), sequence).await?;
        Ok([REFUNDED, ACKNOWLEDGED].contains(&stored))
    }
}

impl Remote for Account {
    fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn destination(&self, input: &Bytes) -> Result<Address, RpcError> {
        // Where there is no router the bridge itself sends swaps home.
        let through_router =
            self.chain() == Chain::Native && brings_swap(input) && self.has_router().await?;
        Ok(if through_router {
            ROUTER
        } else {
            self.bridge()
        })
    }

    async fn price(&self) -> Result<Fees, RpcError> {
        match self.chain() {
            Chain::Native => Ok(Fees::Legacy { price: 0 }),
            Chain::Ethereum => dynamic_fees(self.endpoint()).await,
        }
    }
}

impl Inbox for Account {
    fn bridge(&self) -> Address {
        self.door.address()
    }

    async fn simulate(&self, from: Address, input: Bytes) -> Result<(), RpcError> {
        let to = self.target(&input).await?;
        self.endpoint()
            .provider()
            .call(request(from, to, U256::ZERO, input))
            .latest()
            .await
            .map(|_| ())
            .map_err(|fault| self.endpoint().fault(fault))
    }

    async fn receipt(&self, sequence: u64, at: At) -> Result<u8, RpcError> {
        let found = self.receipts(&[sequence], at).await?;
        Ok(found.first().copied().unwrap_or(0))
    }

    async fn receipts(&self, sequences: &[u64], at: At) -> Result<Vec<u8>, RpcError> {
        let door = self.door;
        let ask = |endpoint: Endpoint| async move {
            let block = tag(at, endpoint.chain());
            let questions = sequences.iter().map(|sequence| {
                let (to, input) = (door.address(), door.receipt(*sequence));
                (request(Address::ZERO, to, U256::ZERO, input), block)
            });
            let answers: Vec<Bytes> = many(&endpoint, "eth_call", questions).await?;
            answers
                .iter()
                .zip(sequences)
                .map(|(answer, sequence)| {
                    door.read_receipt(*sequence, answer)
                        .ok_or_else(|| endpoint.nonsense(&format!("receipt {answer}")))
                })
                .collect()
        };
        match at {
            At::Latest => ask(self.endpoint().clone()).await,
            // Who does not see one yet answers 0, and so it is not final yet.
            At::Finalized => self.pool.agreed_each(sequences.len(), 0, ask).await,
        }
    }

    async fn held(&self, sequence: u64) -> Result<Option<u64>, RpcError> {
        if sequence >= ROTATIONS {
            return Ok(None);
        }
        self.door.held(self.endpoint(), sequence).await
    }
}
