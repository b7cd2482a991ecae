//! Sending over the bridge, and what the bridge's books say on one side.

use super::{Chains, Client, ClientError, Sent, Step, send::sent};
use crate::{
    clock,
    rpc::{Chain, RpcError},
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::TransactionReceipt,
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints},
    address::POINTS,
    packet::{MAX_LIFETIME_SECONDS, Packet, PacketId},
};

/// A packet on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BridgeSent {
    /// The transaction that sent it.
    pub sent: Sent,
    /// The packet's name.
    pub id: PacketId,
    /// Its hash, as both sides store it.
    pub commitment: B256,
    /// The packet itself.
    pub packet: Packet,
    /// What the transaction cost its sender for gas on the native chain, beside what it sent: coin if it
    /// paid a gas price, points otherwise. Zero on Ethereum, where gas is paid with ether.
    pub fee: Amount,
}

/// Totals of one token on one side; they only grow. `docs/protocol.md` says what they prove.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Totals {
    /// Left this side.
    pub sent: U256,
    /// Came from the other side.
    pub received: U256,
    /// Returned to senders here.
    pub refunded: U256,
}

impl Client {
    /// Sends tokens to `receiver` on the other chain, to be received there until `deadline`
    /// (seconds since 1970, in the other chain's block time). Grants the bridge its allowance
    /// first where one is needed. With `acknowledge` this chain comes to know once they were received.
    pub async fn bridge_send(
        &self,
        receiver: Address,
        amount: Amount,
        deadline: u64,
        acknowledge: bool,
    ) -> Result<BridgeSent, ClientError> {
        let account = self.signer()?.address();
        let steps = self
            .plan_bridge(account, receiver, amount, deadline, acknowledge)
            .await?;
        self.bridge_sent(&self.execute_all(steps).await?, amount)
    }

    /// Signs and sends steps one after another; the last one's receipt.
    pub(super) async fn execute_all(
        &self,
        steps: Vec<Step>,
    ) -> Result<TransactionReceipt, ClientError> {
        let mut last = None;
        for step in steps {
            last = Some(self.execute(step.to, step.value, step.input).await?);
        }
        Ok(last.ok_or_else(|| self.endpoint.nonsense("nothing to send"))?)
    }

    /// What a transaction that gave `amount` away sent.
    pub(super) fn bridge_sent(
        &self,
        receipt: &TransactionReceipt,
        amount: Amount,
    ) -> Result<BridgeSent, ClientError> {
        let (packet, commitment) =
            self.packet_in(receipt)
                .ok_or_else(|| ClientError::NoPacket {
                    chain: self.chain(),
                    hash: receipt.transaction_hash,
                })?;
        Ok(BridgeSent {
            sent: sent(receipt),
            id: packet.id(),
            commitment,
            fee: self.paid_for_gas(receipt, amount)?,
            packet,
        })
    }

    /// The step that lets somebody take exactly this much, unless as much is allowed already.
    pub(super) async fn allowance(
        &self,
        account: Address,
        token: Address,
        spender: Address,
        amount: U256,
    ) -> Result<Option<Step>, ClientError> {
        let allowance = ICoin::allowanceCall {
            owner: account,
            spender,
        };
        if self.endpoint.view(token, &allowance).await? >= amount {
            return Ok(None);
        }
        let approve = ICoin::approveCall { spender, amount };
        Ok(Some(Step {
            kind: "allow",
            to: token,
            value: U256::ZERO,
            input: approve.abi_encode().into(),
        }))
    }

    /// The transactions with which `account` sends tokens to `receiver` on the other chain, to be
    /// received there until `deadline`. The first lets the bridge take them, where it may not yet;
    /// the last sends them.
    pub async fn plan_bridge(
        &self,
        account: Address,
        receiver: Address,
        amount: Amount,
        deadline: u64,
        acknowledge: bool,
    ) -> Result<Vec<Step>, ClientError> {
        if receiver.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if amount.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        self.check_balance(account, amount).await?;
        let token = self.token_address(amount.token())?;
        let mut steps = Vec::new();
        if (self.chain(), amount.token()) == (Chain::Ethereum, Token::Mvc) {
            steps.extend(
                self.allowance(account, token, self.bridge, amount.units())
                    .await?,
            );
        }
        let value = match (self.chain(), amount.token()) {
            (Chain::Native, Token::Mvc) => amount.units(),
            _ => U256::ZERO,
        };
        let amount = amount.units();
        let input = if acknowledge {
            IBridge::sendAcknowledgedCall {
                token,
                receiver,
                amount,
                deadline,
            }
            .abi_encode()
        } else {
            IBridge::sendCall {
                token,
                receiver,
                amount,
                deadline,
            }
            .abi_encode()
        };
        steps.push(Step {
            kind: "send",
            to: self.bridge,
            value,
            input: input.into(),
        });
        Ok(steps)
    }

    /// What the sender of `amount` paid beside it: coin for gas, or what else it moved of its points.
    pub(super) fn paid_for_gas(
        &self,
        receipt: &TransactionReceipt,
        amount: Amount,
    ) -> Result<Amount, ClientError> {
        let none = Amount::from_units(Token::Mvp, U256::ZERO);
        if self.chain() == Chain::Ethereum {
            return Ok(none);
        }
        if receipt.effective_gas_price > 0 {
            let paid = U256::from(receipt.gas_used)
                .saturating_mul(U256::from(receipt.effective_gas_price));
            return Ok(Amount::from_units(Token::Mvc, paid));
        }
        let moved = receipt
            .logs()
            .iter()
            .filter(|log| log.address() == POINTS)
            .filter_map(|log| IPoints::Transfer::decode_log(&log.inner).ok())
            .filter(|transfer| transfer.from == receipt.from)
            .try_fold(U256::ZERO, |sum, transfer| sum.checked_add(transfer.value));
        let sent = match amount.token() {
            Token::Mvp => amount.units(),
            Token::Mvc | Token::Eth => U256::ZERO,
        };
        let fee = moved.and_then(|moved| moved.checked_sub(sent));
        fee.map(|fee| Amount::from_units(Token::Mvp, fee))
            .ok_or_else(|| {
                let message = "the transaction's events tell of fewer points than it sent";
                RpcError::Refused {
                    chain: self.chain(),
                    message: message.into(),
                }
                .into()
            })
    }

    /// The first packet that this transaction sent.
    pub(super) fn packet_in(&self, receipt: &TransactionReceipt) -> Option<(Packet, B256)> {
        receipt
            .logs()
            .iter()
            .filter(|log| log.address() == self.bridge)
            .filter_map(|log| IBridge::PacketSent::decode_log(&log.inner).ok())
            .find_map(|event| {
                let packet = Packet::decode(&event.packet).ok()?;
                (packet.commitment() == event.commitment).then_some((packet, event.commitment))
            })
    }

    /// A token's totals on this side.
    pub async fn totals(&self, token: Token) -> Result<Totals, ClientError> {
        let token = self.token_address(token)?;
        let totals = self
            .endpoint
            .view(self.bridge, &IBridge::totalsCall { token })
            .await?;
        Ok(Totals {
            sent: totals.sent,
            received: totals.received,
            refunded: totals.refunded,
        })
    }

    /// Whether the totals of a token agree with what is really there, says the bridge itself.
    pub async fn solvent(&self, token: Token) -> Result<bool, ClientError> {
        let token = self.token_address(token)?;
        let call = IBridge::solventCall { token };
        Ok(self.endpoint.view(self.bridge, &call).await?)
    }

    /// What the next packet sent from here gets.
    pub async fn next_sequence(&self) -> Result<u64, ClientError> {
        let call = IBridge::nextSequenceCall {};
        Ok(self.endpoint.view(self.bridge, &call).await?)
    }

    /// Commitment of a packet sent from here: zero = never sent, one = refunded, two = acknowledged.
    pub async fn outbound(&self, sequence: u64) -> Result<B256, ClientError> {
        let call = IBridge::outboundCall { sequence };
        Ok(self.endpoint.view(self.bridge, &call).await?)
    }

    /// Outcome of a packet that came in: 0 none, 1 received, 2 expired.
    pub async fn receipt(&self, sequence: u64) -> Result<u8, ClientError> {
        let call = IBridge::receiptCall { sequence };
        Ok(self.endpoint.view(self.bridge, &call).await?)
    }
}

impl Chains {
    /// A deadline so many minutes ahead of both chains' clocks and of this machine's.
    pub async fn deadline(&self, minutes: u64) -> Result<u64, ClientError> {
        let native = self.native.head().await?.timestamp;
        let ethereum = self.ethereum.head().await?.timestamp;
        deadline(minutes, native.max(ethereum))
    }
}

/// A deadline so many minutes ahead of this machine's clock, and of the chains' latest.
pub(super) fn deadline(minutes: u64, latest: u64) -> Result<u64, ClientError> {
    let seconds = minutes.saturating_mul(60);
    // A minute of room below the bridge's own limit, for clocks that differ.
    if seconds == 0 || seconds > MAX_LIFETIME_SECONDS {
        return Err(ClientError::Deadline(minutes));
    }
    Ok(clock::now().max(latest).saturating_add(seconds))
}
