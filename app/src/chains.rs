//! Both networks, as a wallet adds them.

use crate::{
    Network,
    api::Shared,
    problem::{Problem, Refusals},
};
use axum::Json;
use mileverse_primitives::{
    Address,
    abi::IPoints,
    address::{BRIDGE, COIN, POINTS},
    exchange::{ORACLE, POOL},
    rpc,
};
use mileverse_wallet::client::ClientError;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

/// What a wallet needs to add the network.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChainFacts {
    /// EIP-155 chain id, in hex as EIP-3085 has it.
    chain_id: String,
    name: &'static str,
    /// Its JSON-RPC.
    rpc_url: String,
    /// Its block explorer.
    explorer_url: Option<String>,
    /// Points, an ERC-20 with 6 decimals.
    #[schema(value_type = String)]
    points: Address,
    /// The coin's ERC-20 face.
    #[schema(value_type = String)]
    coin: Address,
    /// The pool of both.
    #[schema(value_type = String)]
    pool: Address,
    /// The platform's price.
    #[schema(value_type = String)]
    oracle: Address,
    /// The bridge to Ethereum.
    #[schema(value_type = String)]
    bridge: Address,
    /// Who receives what transfers of points cost, and what points pay for gas.
    #[schema(value_type = String)]
    fee_receiver: Address,
    /// The other side of the bridge. Null if this server was given none: then nothing crosses here.
    ethereum: Option<EthereumFacts>,
}

/// The other side of the bridge.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EthereumFacts {
    /// EIP-155 chain id, in hex.
    chain_id: String,
    name: &'static str,
    /// A JSON-RPC for wallets that do not know the network.
    rpc_url: Option<String>,
    /// Its block explorer.
    explorer_url: Option<String>,
    /// Wrapped points, an ERC-20 with 6 decimals.
    #[schema(value_type = String)]
    points: Address,
    /// The coin, an ERC-20 with 18 decimals.
    #[schema(value_type = String)]
    coin: Address,
    /// The bridge.
    #[schema(value_type = String)]
    bridge: Address,
}

/// Both networks, as a wallet adds them.
#[utoipa::path(get, path = "/chain", tag = "swap", responses((status = 200, body = ChainFacts), Refusals))]
pub(crate) async fn chain(app: Shared) -> Result<Json<ChainFacts>, Problem> {
    let facts = app.facts().await?;
    let native = app.native();
    let client = app.client().await?;
    let call = IPoints::feeReceiverCall {};
    let fee_receiver = client.endpoint().view(POINTS, &call).await;
    Ok(Json(ChainFacts {
        chain_id: format!("{:#x}", facts.chain_id),
        name: "MileVerse",
        rpc_url: text(native.public_rpc.as_ref().unwrap_or(&native.rpc)),
        explorer_url: native.explorer.as_ref().map(text),
        points: POINTS,
        coin: COIN,
        pool: POOL,
        oracle: ORACLE,
        bridge: BRIDGE,
        fee_receiver: fee_receiver.map_err(ClientError::from)?,
        ethereum: app.ethereum().map(|network| ethereum(facts, network)),
    }))
}

fn ethereum(facts: &rpc::Chain, network: &Network) -> EthereumFacts {
    let side = facts.ethereum;
    EthereumFacts {
        chain_id: format!("{:#x}", side.chain_id),
        name: match side.chain_id {
            1 => "Ethereum",
            11_155_111 => "Sepolia",
            17_000 => "Holesky",
            560_048 => "Hoodi",
            _ => "Ethereum (development)",
        },
        rpc_url: network.public_rpc.as_ref().map(text),
        explorer_url: network.explorer.as_ref().map(text),
        points: side.points,
        coin: side.coin,
        bridge: side.bridge,
    }
}

/// Without the last slash, so that paths can follow.
fn text(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
