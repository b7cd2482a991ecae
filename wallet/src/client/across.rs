//! Swaps whose two tokens are on different chains, in one action.
//!
//! ```txt
//! Ethereum to native   one packet, which says the least that must arrive: swapped over there and
//!                      received, or refunded on Ethereum
//! native to Ethereum   one call of the router: swapped here, and sent in the same transaction; of points,
//!                      with a permit in it where the router may not take them yet
//! ```
//!
//! The pool is on the native chain, so its quote is asked either way. On the way to it the price may
//! move; a swap that would bring less than its least moves nothing.

use super::{
    BridgeSent, Chains, Client, ClientError, PacketReference, PacketState, PacketStatus, Quote,
    Step, Wish,
};
use crate::{
    permit::{self, Permit},
    rpc::{Chain, RpcError},
    transaction::SignError,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, Signature, U256},
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
        let steps = client
            .own_across(receiver, quote, deadline, lifetime)
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
                    if matches!(
                        status.state,
                        PacketState::Received | PacketState::Acknowledged | PacketState::Refunded
                    ) {
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
        self.check_across(account, receiver, give).await?;
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

    /// The permit with which `account` does it in one transaction, until `deadline` (seconds since 1970). None
    /// where there is nothing to allow, and on Ethereum, where no call takes one.
    pub async fn across_permit(
        &self,
        account: Address,
        quote: &Quote,
        deadline: u64,
    ) -> Result<Option<Permit>, ClientError> {
        self.permit(account, ROUTER, quote.give, deadline).await
    }

    /// The one transaction of it with a signed permit; the swap is good as long as the permit.
    pub async fn plan_across_with_permit(
        &self,
        receiver: Address,
        quote: &Quote,
        deadline: u64,
        permit: &Permit,
        signature: &Signature,
    ) -> Result<Step, ClientError> {
        if !permit.is_signed_by_owner(signature) {
            return Err(ClientError::Permit);
        }
        self.check_across(permit.owner, receiver, quote.give)
            .await?;
        let (v, r, s) = permit::parts(signature);
        let call = SwapRouter::swapAndSendWithPermitCall {
            amountIn: permit.value,
            leastOut: quote.least.units(),
            swapDeadline: permit.deadline,
            receiver,
            packetDeadline: deadline,
            v,
            r,
            s,
        };
        Ok(Step {
            kind: "cross",
            to: ROUTER,
            value: U256::ZERO,
            input: call.abi_encode().into(),
        })
    }

    /// The steps of it for whoever has the key here: points go with a permit, in one transaction.
    async fn own_across(
        &self,
        receiver: Address,
        quote: &Quote,
        deadline: u64,
        lifetime: u64,
    ) -> Result<Vec<Step>, ClientError> {
        let signer = self.signer()?;
        let account = signer.address();
        let last = self.second_in(lifetime).await?;
        match self.across_permit(account, quote, last).await? {
            Some(permit) => {
                let signature = permit.sign(signer).map_err(SignError::from)?;
                let step =
                    self.plan_across_with_permit(receiver, quote, deadline, &permit, &signature);
                Ok(vec![step.await?])
            }
            None => {
                self.plan_across(account, receiver, quote, deadline, lifetime)
                    .await
            }
        }
    }

    async fn check_across(
        &self,
        account: Address,
        receiver: Address,
        give: Amount,
    ) -> Result<(), ClientError> {
        if receiver.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if give.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        self.check_balance(account, give).await
    }
}
