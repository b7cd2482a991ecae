//! `node prove`: what an account holds, believed for the committee's signature and not for the node's word.

use super::{
    answer::{self, mvc, mvp},
    genesis,
};
use crate::error::Error;
use alloy::{
    primitives::U256,
    providers::{Provider as _, ProviderBuilder},
    transports::http::reqwest::Url,
};
use clap::Args;
use mileverse_consensus::{bls, committee::CommitteeError, proof};
use mileverse_execution::{Account, points_slot, state::Place};
use mileverse_primitives::{Address, Bytes, header::Header, packet::GroupKey, rpc::StateProof};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Longest wait for a node's answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a node is asked whose newest block has no certificate yet.
const ATTEMPTS: usize = 10;
/// Between two times.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The network's genesis file: its chain id and its first group key are what is trusted.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// JSON-RPC of any node; it is not trusted.
    #[arg(long, value_name = "URL")]
    rpc: Url,
    /// The group key in force, 256 bytes in hex (EIP-2537), if it was rotated since the genesis file.
    #[arg(long, value_name = "HEX")]
    group_key: Option<Bytes>,
    /// Prove this word of the account's storage instead of what it holds.
    #[arg(long, value_name = "SLOT")]
    slot: Option<U256>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// The account.
    account: Address,
}

/// Asks, checks, and prints what was proven.
pub(super) fn prove(arguments: &Arguments) -> Result<(), Error> {
    let genesis = genesis::read(&arguments.genesis)?;
    let key = match &arguments.group_key {
        Some(key) => key.clone(),
        None => bls::public_key(genesis.first.output.public().public())
            .map_err(|error| CommitteeError::Output(error.to_string()))?,
    };
    let asking = Asking {
        node: &arguments.rpc,
        chain_id: genesis.genesis.chain_id,
        group_key: GroupKey::try_from(key.as_ref())
            .map_err(|_| Error::Proof("a group key has 256 bytes".into()))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Proof(error.to_string()))?;
    let account = arguments.account;
    let shown = runtime.block_on(async {
        Ok::<_, Error>(match arguments.slot {
            Some(slot) => vec![asking.word(account, slot).await?],
            None => vec![asking.coin(account).await?, asking.points(account).await?],
        })
    })?;
    let mut facts = vec![("account", account.to_string())];
    let mut json = serde_json::Map::from_iter([("account".to_owned(), json!(account))]);
    for Shown { name, text, found } in shown {
        facts.push((name, text));
        facts.extend(
            found
                .as_ref()
                .map(|(_, block)| ("  in block", block_text(block))),
        );
        let found = found.map(|(units, block)| {
            let (height, digest) = (block.height, block.digest());
            let block =
                json!({ "height": height, "digest": digest, "timestampMs": block.timestamp_ms });
            json!({ "value": units, "block": block })
        });
        json.insert(name.to_owned(), found.unwrap_or(Value::Null));
    }
    answer::print(facts, arguments.json.then_some(&Value::Object(json)))
}

/// A block for people. The node chooses it: an old one tells of old times.
fn block_text(header: &Header) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let ago = now.saturating_sub(header.timestamp_ms / 1_000);
    format!("{}, {ago} s ago, {}", header.height, header.digest())
}

/// What was proven of one place.
struct Shown {
    name: &'static str,
    text: String,
    /// The value, and the header of the block after which it stands.
    found: Option<(U256, Header)>,
}

impl Shown {
    fn new(
        name: &'static str,
        found: Option<(U256, Header)>,
        text: impl Fn(U256) -> String,
    ) -> Self {
        let nothing = "the node shows nothing, and that nothing stands there cannot be proven";
        let text = match &found {
            Some((units, _)) => text(*units),
            None => nothing.to_owned(),
        };
        Self { name, text, found }
    }
}

struct Asking<'a> {
    node: &'a Url,
    chain_id: u64,
    group_key: GroupKey,
}

impl Asking<'_> {
    async fn coin(&self, account: Address) -> Result<Shown, Error> {
        let found = self.stands(account, None).await?;
        let found = found.map(|(value, header)| match Account::decode(&value) {
            Ok(stored) => Ok((stored.balance, header)),
            Err(error) => Err(Error::Proof(error.to_string())),
        });
        Ok(Shown::new("coin", found.transpose()?, mvc))
    }

    async fn points(&self, account: Address) -> Result<Shown, Error> {
        let (module, slot) = points_slot(account);
        let found = self.number(module, slot).await?;
        Ok(Shown::new("points", found, mvp))
    }

    async fn word(&self, account: Address, slot: U256) -> Result<Shown, Error> {
        let found = self.number(account, slot).await?;
        Ok(Shown::new("word", found, |word| format!("{word:#x}")))
    }

    async fn number(&self, account: Address, slot: U256) -> Result<Option<(U256, Header)>, Error> {
        let found = self.stands(account, Some(slot)).await?;
        let long = || Error::Proof("a word of storage has more than 32 bytes".into());
        found
            .map(|(value, header)| {
                let word = U256::try_from_be_slice(&value).ok_or_else(long)?;
                Ok((word, header))
            })
            .transpose()
    }

    /// What stands at an account or a word of its storage, and the header of the block after which it does.
    async fn stands(
        &self,
        account: Address,
        slot: Option<U256>,
    ) -> Result<Option<(Bytes, Header)>, Error> {
        let mut tries = 1;
        let found = loop {
            match self.ask(account, slot).await? {
                Ok(found) => break found,
                // A block is final a moment before its certificate is at hand.
                Err(_) if tries < ATTEMPTS => tries += 1,
                Err(refusal) => return Err(Error::Proof(format!("the node refuses: {refusal}"))),
            }
            tokio::time::sleep(PAUSE).await;
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let place = slot.map_or(Place::Account(account), |slot| Place::Slot(account, slot));
        let header = proof::check(&found, self.chain_id, &self.group_key, place.key())
            .map_err(|doubt| Error::Proof(doubt.to_string()))?;
        Ok(Some((found.value, header)))
    }

    /// The node's answer, or its refusal in its own words.
    async fn ask(
        &self,
        account: Address,
        slot: Option<U256>,
    ) -> Result<Result<Option<StateProof>, String>, Error> {
        let node = self.node;
        let provider = ProviderBuilder::new().connect_http(node.clone());
        let asked = provider.raw_request("mileverse_stateProof".into(), (account, slot));
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(found)) => Ok(Ok(found)),
            Ok(Err(error)) => match error.as_error_resp() {
                Some(refusal) => Ok(Err(refusal.message.to_string())),
                None => Err(Error::Proof(format!("{node} does not answer: {error}"))),
            },
            Err(_) => Err(Error::Proof(format!("{node} does not answer in time"))),
        }
    }
}
