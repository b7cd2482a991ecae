//! `mileverse_`: what Ethereum has no word for. Specified in `docs/protocol.md`.

use crate::{
    arguments::Arguments,
    context::Context,
    eth::calls::{Scene, lay},
    failure,
    register::{Answer, slow},
};
use alloy::rpc::types::TransactionRequest;
use commonware_consensus::{simplex::types::Finalization, types::Height};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use mileverse_consensus::{
    application::Scheme,
    block::{self, Block},
    bls, committee,
    engine::peers::Admitted,
    evidence::Evidence as Found,
    index::Results,
    proof::Proven,
    rotation::State,
    signature,
};
use mileverse_execution::{PaidBy, Quote, Rotations, state::Place};
use mileverse_primitives::{
    Address, B256, Bytes, U256,
    address::STAKING,
    certificate,
    genesis::Genesis,
    outbox,
    rpc::{
        Certificate, Chain, Epoch, Evidence, GasPayer, GasQuote, GasSponsorship, GroupKey,
        MAX_PACKETS, Rotation, StateProof, Status, Visit, Welcome,
    },
    schedule::Schedule,
};
use std::{sync::Arc, time::SystemTime};

/// How far above a height its certificate is looked for: a certificate covers all blocks below.
const MAX_SEARCH: u64 = 64;

/// How many blocks a state may be behind the newest of the index: that is written first, and blocks may become
/// final while a proof is made.
const MAX_BEHIND: u64 = 4;

/// How far a visitor's clock may be from this node's, seconds.
const MAX_VISIT_AGE: u64 = 60;

/// Adds the methods.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_method("mileverse_chain", |_, context, _| {
        Ok::<_, ErrorObjectOwned>(chain(
            &context.genesis,
            context.genesis_hash,
            &context.group_key,
        ))
    })?;
    module.register_async_method("mileverse_status", |_, context, _| async move {
        status(&context).await
    })?;
    module.register_method("mileverse_visit", |params, context, _| {
        visit(context, &params.one()?)
    })?;
    module.register_async_method("mileverse_epoch", |_, context, _| async move {
        let rotations = context.reads.rotations().await?;
        tokio::task::spawn_blocking(move || epoch(&context, &rotations))
            .await
            .map_err(|error| failure::internal(&error))?
    })?;
    slow(module, "mileverse_gasQuote", gas_quote)?;
    module.register_async_method("mileverse_groupKeys", |_, context, _| async move {
        group_keys(&context).await
    })?;
    module.register_async_method("mileverse_certificate", |params, context, _| async move {
        let height: Option<u64> = params.sequence().optional_next()?;
        certificate_at(&context, height).await
    })?;
    module.register_async_method("mileverse_stateProof", |params, context, _| async move {
        let mut params = params.sequence();
        let (address, slot): (Address, Option<U256>) = (params.next()?, params.optional_next()?);
        state_proof(&context, address, slot).await
    })?;
    module.register_async_method("mileverse_evidence", |_, context, _| async move {
        evidence(&context).await
    })?;
    module.register_blocking_method("mileverse_packets", |params, context, _| {
        let mut params = params.sequence();
        let (from, limit): (u64, u64) = (params.next()?, params.next()?);
        if limit > MAX_PACKETS {
            return Err(failure::invalid(format!("limit is at most {MAX_PACKETS}")));
        }
        context.index.packets(from, limit).map_err(failure::index)
    })?;
    module.register_blocking_method("mileverse_outboxProof", |params, context, _| {
        let mut params = params.sequence();
        let (index, size): (u64, u64) = (params.next()?, params.next()?);
        context
            .index
            .outbox_proof(index, size)
            .map_err(failure::index)?
            .ok_or_else(|| {
                failure::invalid(format!(
                    "there is no leaf {index} in an outbox of {size} here"
                ))
            })
    })?;
    Ok(())
}

/// What never changes.
pub fn chain(genesis: &Genesis, genesis_hash: B256, group_key: &Bytes) -> Chain {
    Chain {
        chain_id: genesis.chain_id,
        genesis_hash,
        namespace: certificate::namespace(genesis.chain_id).into(),
        group_key: group_key.clone(),
        ethereum: genesis.ethereum,
    }
}

/// Lets a new node connect, if it is who it says and says so now.
fn visit(context: &Context, visit: &Visit) -> Result<Welcome, ErrorObjectOwned> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    if now.abs_diff(visit.seconds) > MAX_VISIT_AGE {
        return Err(failure::refused(
            "the visit is not of this minute; set the clock of the node that visits",
        ));
    }
    if visit.address.ip().is_unspecified() || visit.address.port() == 0 {
        return Err(failure::invalid(
            "a visitor needs the address that it connects from; set public_address in its configuration",
        ));
    }
    if !signature::visit_is_signed(context.genesis.chain_id, visit) {
        return Err(failure::refused(
            "the visit is not signed by the key that it names for this chain",
        ));
    }
    let key = committee::key(visit.public_key).map_err(|error| failure::internal(&error))?;
    Ok(match context.door.clone().admit(key, visit.address) {
        Admitted::Now => Welcome::Now,
        Admitted::NextEpoch => Welcome::NextEpoch,
    })
}

async fn status(context: &Arc<Context>) -> Result<Status, ErrorObjectOwned> {
    let tip = context.reads.tip();
    Ok(Status {
        height: tip.header.height,
        digest: tip.digest,
        timestamp_ms: tip.header.timestamp_ms,
        peers: context.connections.count(),
        ethereum_checkpoint: context.reads.latest_checkpoint().await?,
        validator: context.validator,
        first_height: context.index.first().map_err(failure::index)?,
        sync: context.progress.now(),
    })
}

/// Who signs the block after the newest, from the block that opened its epoch.
fn epoch(context: &Context, rotations: &Rotations) -> Result<Epoch, ErrorObjectOwned> {
    let blocks = context.genesis.epoch_blocks;
    let next = context.reads.tip().header.height.saturating_add(1);
    let number = next / blocks;
    let first_height = number.saturating_mul(blocks);
    let opening = match first_height.checked_sub(1) {
        None => Some(context.genesis_block.clone()),
        Some(height) => context.index.block(height).map_err(failure::index)?,
    };
    let opening = opening.ok_or_else(|| {
        failure::refused(
            "this node joined within the epoch and will know its committee when the next begins",
        )
    })?;
    let info = opening
        .opens()
        .ok_or_else(|| failure::internal(&"the block before an epoch does not open it"))?;
    let members = block::keys(info.output.players().iter());
    let schedule = Schedule::new(context.genesis_hash, number, &members)
        .map_err(|error| failure::internal(&error))?;
    Ok(Epoch {
        epoch: number,
        first_height,
        last_height: first_height.saturating_add(blocks).saturating_sub(1),
        committee: (0..members.len() as u64)
            .map(|view| schedule.leader(view))
            .collect(),
        ceremony_succeeded: block::next_epoch(info).succeeded,
        revealed: block::keys(info.output.revealed().iter()),
        players: block::keys(info.players.iter()),
        next_players: block::keys(info.next_players.iter()),
        rotation: rotation(context, number, rotations),
    })
}

fn rotation(context: &Context, epoch: u64, rotations: &Rotations) -> Rotation {
    let state = context.rotation.state();
    // A rotation of another epoch is none of this one's.
    let state = if state.epoch == Some(epoch) {
        state
    } else {
        State::default()
    };
    Rotation {
        since: rotations.since,
        phase: state.phase.name().into(),
        endorsements: state.endorsements as u64,
        needed: state.needed as u64,
    }
}

/// Who would pay for a transaction with this gas limit and price.
async fn gas_quote(context: Arc<Context>, mut arguments: Arguments) -> Answer<GasQuote> {
    let asked: TransactionRequest = arguments.next()?;
    let Some(gas) = asked.gas else {
        return Err(failure::invalid(
            "name a gas limit (gas): whether somebody else pays depends on it",
        ));
    };
    let scene = Scene::new(&context, asked, None, None, None)?;
    let executor = context.reads.executor.clone();
    let run = move |state| async move {
        let state = lay(state, scene.overrides).await?;
        executor
            .quote(&state, scene.block, &scene.request, gas)
            .await
    };
    Ok(told(context.reads.ask(scene.height, run).await?))
}

fn told(quote: Quote) -> GasQuote {
    GasQuote {
        payer: match quote.payer {
            Some(PaidBy::Sender) => GasPayer::Sender,
            Some(PaidBy::Stake) => GasPayer::Stake,
            Some(PaidBy::Operator) => GasPayer::Operator,
            None => GasPayer::Nobody,
        },
        base_price: U256::from(quote.base_price),
        sender_price: U256::from(quote.sender_price),
        operator_price: U256::from(quote.operator_price),
        free_gas: quote.free_gas,
        free_gas_left: quote.free_gas_left,
        sponsorship: quote.sponsorship.map(|offer| GasSponsorship {
            operator: offer.operator,
            price: U256::from(offer.price),
            most: U256::from(offer.most),
        }),
    }
}

async fn group_keys(context: &Arc<Context>) -> Result<Vec<GroupKey>, ErrorObjectOwned> {
    let first = GroupKey {
        number: 0,
        first_epoch: 0,
        key: context.group_key.clone(),
    };
    let rotations = context.reads.rotations().await?;
    let later = (1..).zip(rotations.keys).map(|(number, new)| GroupKey {
        number,
        first_epoch: new.first_epoch,
        key: Bytes::copy_from_slice(new.key.as_slice()),
    });
    Ok(std::iter::once(first).chain(later).collect())
}

/// What this node found and the chain has not recorded yet.
async fn evidence(context: &Context) -> Result<Vec<Evidence>, ErrorObjectOwned> {
    let mut open = Vec::new();
    for found in context.evidence.open_entries() {
        let (offender, kind) = (found.offender(), found.kind());
        let (recorded, view, height) = match &found {
            Found::DoubleProposal { first, .. } => {
                let recorded = context.reads.tombstoned(offender).await?;
                (recorded, Some(first.header.turn.view), None)
            }
            Found::FalseAttestation(attestation) => {
                let height = attestation.height;
                let recorded = context.reads.reported(offender, height).await?;
                (recorded, None, Some(height))
            }
        };
        if recorded {
            context.evidence.recorded(offender, kind);
            continue;
        }
        open.push(Evidence {
            kind: kind.name().into(),
            offender,
            epoch: found.epoch(),
            view,
            height,
            to: STAKING,
            calldata: found.calldata(),
        });
    }
    Ok(open)
}

/// What stands at an account, or at a word of its storage, in the newest state; nothing if nothing does.
async fn state_proof(
    context: &Arc<Context>,
    address: Address,
    slot: Option<U256>,
) -> Result<Option<StateProof>, ErrorObjectOwned> {
    let _turn = context.reads.disk_turn().await?;
    let missing = || failure::refused("the block of this state has no certificate yet; ask again");
    // The state of block 0 is in no database, and nobody signed it.
    let first = context.index.first().map_err(failure::index)?;
    let first = first.ok_or_else(missing)?;
    let place = slot.map_or(Place::Account(address), |slot| Place::Slot(address, slot));
    let key = place.key();
    let Some(Proven { root, value, proof }) = context.reads.prove(key).await? else {
        return Ok(None);
    };
    let newest = context.index.newest().map_err(failure::index)?;
    let newest = newest.ok_or_else(missing)?.header.height;
    for height in (first.max(newest.saturating_sub(MAX_BEHIND))..=newest).rev() {
        let block = context.index.block(height).map_err(failure::index)?;
        let Some(block) = block.filter(|block| block.header.state.root == root) else {
            continue;
        };
        let found = context.marshal.get_finalization(Height::new(height)).await;
        let certificate = opened(context, &block, &found.ok_or_else(missing)?)?;
        return Ok(Some(StateProof {
            height,
            header: block.header.encode().into(),
            certificate,
            key,
            value: value.into(),
            proof: proof.into(),
        }));
    }
    Err(missing())
}

async fn certificate_at(
    context: &Arc<Context>,
    height: Option<u64>,
) -> Result<Certificate, ErrorObjectOwned> {
    let tip = context.reads.tip().header.height;
    let mut candidates: Box<dyn Iterator<Item = u64> + Send> = match height {
        Some(height) => Box::new(height.max(1)..=tip.min(height.saturating_add(MAX_SEARCH))),
        None => Box::new((tip.saturating_sub(MAX_SEARCH).max(1)..=tip).rev()),
    };
    let missing = || failure::refused("no certificate is at hand for that height yet; ask again");
    let (height, finalization) = loop {
        let height = candidates.next().ok_or_else(missing)?;
        if let Some(found) = context.marshal.get_finalization(Height::new(height)).await {
            break (height, found);
        }
    };
    let block = context
        .index
        .block(height)
        .map_err(failure::index)?
        .ok_or_else(missing)?;
    opened(context, &block, &finalization)
}

/// A final block, opened as far as Ethereum needs.
fn opened(
    context: &Context,
    block: &Block,
    finalization: &Finalization<Scheme, block::Digest>,
) -> Result<Certificate, ErrorObjectOwned> {
    let height = block.header.height;
    let Results {
        outbox_size,
        outbox_tree,
        ..
    } = context
        .index
        .results(height)
        .map_err(failure::index)?
        .ok_or_else(|| failure::internal(&"the index has a block without its results"))?;
    let proposal = &finalization.proposal;
    let signature = finalization
        .certificate
        .get()
        .ok_or_else(|| failure::internal(&"a stored certificate is damaged"))?;
    if outbox::root(outbox_size, outbox_tree) != block.header.outbox_root {
        return Err(failure::internal(
            &"the index and a block disagree about the outbox",
        ));
    }
    Ok(Certificate {
        height,
        digest: block.header.digest(),
        epoch: proposal.round.epoch().get(),
        view: proposal.round.view().get(),
        parent_view: proposal.parent.get(),
        rest_hash: block.header.rest_hash(),
        outbox_size,
        outbox_tree,
        outbox_root: block.header.outbox_root,
        signature: bls::signature(signature).map_err(|error| failure::internal(&error))?,
    })
}
