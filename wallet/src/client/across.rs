//! Swaps whose two tokens are on different chains, in one action.
//!
//! ```txt
//! Ethereum to native   one packet, which says the least that must arrive: swapped over there and
//!                      received, or refunded on Ethereum
//! native to Ethereum   one call of the router: swapped here, and sent in the same transaction
//! ```
//!
//! The pool is on the native chain, so its quote is asked either way. On the way to it the price may
//! move; a swap that would bring less than its least moves nothing.

use super::{
    BridgeSent, Chains, Client, ClientError, PacketReference, PacketState, PacketStatus, Quote,
    Step, Wish,
};
use crate::{
    rpc::{Chain, RpcError},
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall as _,
};
use mileverse_bindings::Bridge;
use mileverse_primitives::exchange::{ROUTER, SwapRouter};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at a packet.
const POLL: Duration = Duration::from_millis(500);

impl Chains {
    /// What the pool would do now with `give`, wherever that is.
    pub async fn quote_across(&self, give: Amount, slippage_bp: u16) -> Result<Quote, ClientError> {
        self.native.quote(Wish::Give(give), slippage_bp).await
    }

    /// Swaps what a quote gives from `chain` to the other one, for `receiver` there: at least
    /// `quote.least` arrives there until `deadline`, or what was given comes back. `lifetime` is how
    /// many seconds a swap on this side may wait for its block.
    pub async fn swap_across(
        &self,
        chain: Chain,
        receiver: Address,
        quote: &Quote,
        deadline: u64,
        lifetime: u64,
    ) -> Result<BridgeSent, ClientError> {
        let client = self.on(chain);
        let account = client.signer()?.address();
        let steps = client
            .plan_across(account, receiver, quote, deadline, lifetime)
            .await?;
        client.bridge_sent(&client.execute_all(steps).await?, quote.give)
    }

    /// Looks at a packet until it is received or refunded, and tells each change; an error if it is
    /// neither after `patience`. Endpoints that are away for a moment are asked again.
    pub async fn follow(
        &self,
        packet: PacketReference,
        patience: Duration,
        mut tell: impl FnMut(&PacketStatus),
    ) -> Result<PacketStatus, ClientError> {
        let end = Instant::now() + patience;
        let mut last = None;
        loop {
            match self.packet_status(packet).await {
                Ok(status) => {
                    if last.as_ref() != Some(&status) {
                        tell(&status);
                    }
                    if matches!(status.state, PacketState::Received | PacketState::Refunded) {
                        return Ok(status);
                    }
                    last = Some(status);
                }
                Err(ClientError::Rpc(RpcError::Unreachable { .. })) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= end {
                return Err(ClientError::UnderWay { packet });
            }
            sleep(POLL).await;
        }
    }
}

impl Client {
    /// The transactions of such a swap. The first lets the bridge or the router take what is given,
    /// where it may not yet.
    pub async fn plan_across(
        &self,
        account: Address,
        receiver: Address,
        quote: &Quote,
        deadline: u64,
        lifetime: u64,
    ) -> Result<Vec<Step>, ClientError> {
        let give = quote.give;
        if receiver.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if give.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        self.check_balance(account, give).await?;
        let token = self.token_address(give.token())?;
        let (units, least) = (give.units(), quote.least.units());
        let mut steps = Vec::new();
        let (to, value, input) = match (self.chain(), give.token()) {
            (Chain::Ethereum, given) => {
                if given == Token::Mvc {
                    steps.extend(self.allowance(account, token, self.bridge, units).await?);
                }
                let call = Bridge::sendSwapCall {
                    token,
                    receiver,
                    amount: units,
                    deadline,
                    least,
                };
                (self.bridge, U256::ZERO, call.abi_encode())
            }
            (Chain::Native, given) => {
                let mut value = units;
                if given != Token::Mvc {
                    steps.extend(self.allowance(account, token, ROUTER, units).await?);
                    value = U256::ZERO;
                }
                let now = self.head().await?.timestamp;
                let call = SwapRouter::swapAndSendCall {
                    tokenIn: token,
                    amountIn: units,
                    leastOut: least,
                    swapDeadline: now.saturating_add(lifetime),
                    receiver,
                    packetDeadline: deadline,
                };
                (ROUTER, value, call.abi_encode())
            }
        };
        steps.push(Step {
            kind: "cross",
            to,
            value,
            input: input.into(),
        });
        Ok(steps)
    }
}
