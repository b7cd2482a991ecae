//! One key generation among the players of an epoch: glue's one-shot engine over channel 11.
//!
//! Everything it signs is bound to the chain and the epoch by its namespace, so that no vote,
//! certificate or dealing of one ceremony counts in another. Its files are named after the epoch,
//! so that a node that restarts goes on where it stood. It runs as fast as its slowest quorum.

use super::{Output, circle::Circle, lane, secrets::CeremonySecrets};
use crate::{block::PublicKey, committee::SHARING_MODES, pages};
use commonware_cryptography::{
    bls12381::{
        dkg::feldman_desmedt::Reveal,
        primitives::{sharing::Mode, variant::MinSig},
    },
    ed25519,
};
use commonware_glue::dkg::{SecretStore, bootstrap};
use commonware_p2p::{
    Sender,
    utils::mux::{self, MuxHandle},
};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage};
use commonware_utils::{
    NZDuration, NZU64, NZUsize, channel::oneshot, ordered::Set, sequence::Unit,
};
use mileverse_primitives::certificate;
use rand::CryptoRng;
use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// How polynomials are evaluated; the genesis dealing does it alike.
pub const MODE: Mode = Mode::NonZeroCounter;

const MAILBOX: NonZeroUsize = NZUsize!(1024);
const BUFFER: NonZeroUsize = NZUsize!(16 * 1024);
/// Memory for pages of the disk, MiB.
const CACHE_MIB: NonZeroU32 = NonZeroU32::MIN;
const SECTION: NonZeroU64 = NZU64!(1024);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_RETRY: Duration = Duration::from_millis(200);
/// Shortest chain of a ceremony, in blocks.
const LEAST_BLOCKS: u64 = 32;

/// Blocks of the ceremony's own chain. In its second half each dealer must lead a block, in turn;
/// half as many again as there are dealers leaves room for those who are silent.
pub fn blocks(players: usize) -> NonZeroU64 {
    let players = u64::try_from(players).unwrap_or(u64::MAX);
    NonZeroU64::new(players.saturating_mul(3).max(LEAST_BLOCKS)).unwrap_or(NonZeroU64::MIN)
}

/// A running ceremony. It ends when this is dropped.
pub struct Ceremony {
    engine: Handle<()>,
    completion: oneshot::Receiver<bootstrap::Completion<MinSig>>,
}

impl Drop for Ceremony {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

/// How a ceremony ended here.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It made a key.
    Made(Box<Output>),
    /// Too few dealers took part.
    Failed,
    /// The engine stopped before its end.
    Stopped,
}

/// What a ceremony is made of.
pub struct Setup<S> {
    /// One of the players.
    pub signer: ed25519::PrivateKey,
    /// The chain.
    pub chain_id: u64,
    /// The epoch in which it runs.
    pub epoch: u64,
    /// Who takes part.
    pub players: Set<PublicKey>,
    /// Keeps what it must keep secret.
    pub secrets: S,
    /// Begins the names of its partitions on disk.
    pub prefix: String,
}

impl Ceremony {
    /// Starts, or after a restart resumes, a ceremony.
    ///
    /// # Errors
    ///
    /// When the epoch's sub-channels are taken or the network is gone.
    pub async fn start<E, S, N>(
        context: E,
        setup: Setup<S>,
        network: &mut MuxHandle<N>,
    ) -> Result<Self, mux::Error>
    where
        E: CryptoRng + Spawner + Metrics + Clock + Storage,
        S: SecretStore,
        N: Sender<PublicKey = PublicKey>,
    {
        let Setup {
            signer,
            chain_id,
            epoch,
            players,
            secrets,
            prefix,
        } = setup;
        let circle = Circle::new(players.clone());
        let mut lanes = Vec::with_capacity(6);
        for number in 1..=6 {
            let (sender, receiver) = network.register(lane(epoch, number)).await?;
            lanes.push((sender, circle.guard(receiver)));
        }
        let Ok([votes, certificates, resolver, backfill, broadcast, dealings]) =
            <[_; 6]>::try_from(lanes)
        else {
            return Err(mux::Error::Closed);
        };
        let engine = bootstrap::Engine::<_, MinSig, _, _, _, _, _>::new(
            context,
            bootstrap::Config {
                signer,
                manager: circle.clone(),
                blocker: circle,
                secret_store: CeremonySecrets::new(epoch, secrets),
                strategy: Sequential,
                namespace: namespace(chain_id, epoch),
                sharing_mode: MODE,
                reveal: Reveal::V1,
                max_supported_mode: SHARING_MODES,
                partition_prefix: format!("{prefix}-{epoch}"),
                page_cache: pages::cache(CACHE_MIB),
                write_buffer: BUFFER,
                replay_buffer: BUFFER,
                mailbox_size: MAILBOX,
                fetch_timeout: NZDuration!(FETCH_TIMEOUT),
                fetch_retry_delay: FETCH_RETRY,
                items_per_section: SECTION,
                blocks_per_epoch: blocks(players.len()),
                participants: players,
                directory: Unit,
            },
        );
        let (engine, completion) =
            engine.start(votes, certificates, resolver, backfill, broadcast, dealings);
        Ok(Self { engine, completion })
    }

    /// Waits for the ceremony's end. The engine goes on serving those who lag.
    pub async fn ending(&mut self) -> Ending {
        match (&mut self.completion).await {
            Ok(bootstrap::Completion { info: Some(info) }) => Ending::Made(Box::new(info.output)),
            Ok(bootstrap::Completion { info: None }) => Ending::Failed,
            Err(_) => Ending::Stopped,
        }
    }
}

/// `"mileverse/" ‖ chain id (8) ‖ "_ROTATE/" ‖ epoch (8)`. The engine wants it for as long as the
/// process lives; a ceremony is rare, so the few bytes of each are let go.
fn namespace(chain_id: u64, epoch: u64) -> &'static [u8] {
    let mut out = certificate::namespace(chain_id);
    out.extend_from_slice(b"_ROTATE/");
    out.extend_from_slice(&epoch.to_be_bytes());
    Vec::leak(out)
}
