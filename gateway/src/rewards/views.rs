//! What both chains say of quarters, over their public JSON-RPC.

use super::{RewardError, Rewards};
use crate::issuer::chain::{Chain, ChainError};
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use mileverse_bindings::{IQuarterlyRewards, QuarterlyRewards};
use mileverse_primitives::abi::IRewards;
use mileverse_primitives::address::REWARDS;
use mileverse_primitives::quarter::Quarter;
use serde::Deserialize;
use serde_json::json;

/// A block of Ethereum.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    pub(super) number: U256,
    pub(super) base_fee_per_gas: Option<U256>,
}

/// A receipt of Ethereum.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) status: U256,
    pub(super) block_number: U256,
}

/// What somebody earned for a quarter on Ethereum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Earned {
    pub(super) wei: U256,
    pub(super) is_claimed: bool,
}

async fn view<C: SolCall>(
    node: &Chain,
    to: Address,
    call: &C,
    at: BlockNumberOrTag,
) -> Result<C::Return, ChainError> {
    const METHOD: &str = "eth_call";
    let request = json!({ "to": to, "data": Bytes::from(call.abi_encode()) });
    let answer: Bytes = node.ask(METHOD, json!([request, at])).await?;
    // An account without code answers nothing, which is no answer.
    C::abi_decode_returns(&answer).map_err(|_| ChainError::Nonsense(METHOD))
}

/// The native chain's rewards, after its newest block, which is final.
pub(super) async fn standing(native: &Chain) -> Result<IRewards::Standing, ChainError> {
    let call = IRewards::standingCall {};
    view(native, REWARDS, &call, BlockNumberOrTag::Latest).await
}

/// The contract on Ethereum that pots come from, if they do.
pub(super) async fn source(native: &Chain) -> Result<Option<Address>, ChainError> {
    let call = IRewards::rulesCall {};
    let rules = view(native, REWARDS, &call, BlockNumberOrTag::Latest).await?;
    Ok(Some(rules.source).filter(|source| !source.is_zero()))
}

/// The native chain's report of a quarter that is closed.
pub(super) async fn native_report(
    native: &Chain,
    quarter: Quarter,
) -> Result<IRewards::Report, ChainError> {
    let call = IRewards::reportCall {
        quarter: quarter.number(),
    };
    view(native, REWARDS, &call, BlockNumberOrTag::Latest).await
}

/// What an account earned on the native chain for a quarter, paid or carried.
pub(super) async fn native_earned(
    native: &Chain,
    account: Address,
    quarter: Quarter,
) -> Result<U256, ChainError> {
    let call = IRewards::earnedCall {
        account,
        quarter: quarter.number(),
    };
    view(native, REWARDS, &call, BlockNumberOrTag::Latest).await
}

impl Rewards {
    /// Makes sure that the node is of the network that transactions are for.
    pub(super) async fn check_network(&self) -> Result<(), RewardError> {
        let id: U256 = self.node.ask("eth_chainId", json!([])).await?;
        if id == U256::from(self.chain_id) {
            return Ok(());
        }
        Err(RewardError::OtherNetwork {
            found: id.to_string(),
            expected: self.chain_id,
        })
    }

    pub(super) async fn block(&self, at: BlockNumberOrTag) -> Result<Block, ChainError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let found = self.node.find(METHOD, json!([at, false])).await?;
        found.ok_or(ChainError::Nonsense(METHOD))
    }

    pub(super) async fn receipt(&self, hash: &str) -> Result<Option<Receipt>, ChainError> {
        self.node
            .find("eth_getTransactionReceipt", json!([hash]))
            .await
    }

    /// The sender's nonce as of a block.
    pub(super) async fn nonce(&self, at: BlockNumberOrTag) -> Result<u64, ChainError> {
        const METHOD: &str = "eth_getTransactionCount";
        let nonce: U256 = self.node.ask(METHOD, json!([self.sender(), at])).await?;
        nonce.try_into().map_err(|_| ChainError::Nonsense(METHOD))
    }

    /// Where the contract stands.
    pub(super) async fn ethereum_standing(
        &self,
        contract: Address,
        at: BlockNumberOrTag,
    ) -> Result<IQuarterlyRewards::Standing, ChainError> {
        view(&self.node, contract, &QuarterlyRewards::standingCall {}, at).await
    }

    /// The contract's report of a quarter that is open.
    pub(super) async fn ethereum_report(
        &self,
        contract: Address,
        quarter: Quarter,
        at: BlockNumberOrTag,
    ) -> Result<IQuarterlyRewards::Report, ChainError> {
        let call = QuarterlyRewards::reportCall {
            quarter: quarter.number(),
        };
        view(&self.node, contract, &call, at).await
    }

    /// What an account earned for a quarter that is open.
    pub(super) async fn ethereum_earned(
        &self,
        contract: Address,
        account: Address,
        quarter: Quarter,
        at: BlockNumberOrTag,
    ) -> Result<Earned, ChainError> {
        let call = QuarterlyRewards::earnedCall {
            account,
            quarter: quarter.number(),
        };
        let earned = view(&self.node, contract, &call, at).await?;
        Ok(Earned {
            wei: earned.amount,
            is_claimed: earned.isClaimed,
        })
    }
}
