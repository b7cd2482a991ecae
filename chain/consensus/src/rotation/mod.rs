//! Rotation to a new group key, on the living chain.
//!
//! Resharing moves shares of one group key from committee to committee for ever. A rotation
//! replaces the key itself: the players of an epoch, who sign the next one, generate a fresh key
//! among themselves beside the chain, and the epoch's last block hands over to it.
//!
//! ```txt
//!  epoch E                                                     last block of E    epoch E+1
//!  |--- blocks, certificates under the old key ----------------------|--- under the new key ---
//!  |  ceremony (reshare, as in every epoch) ----------------> output |
//!  |  ceremony (rotation) --> output', share' --> endorsements ----> | output' instead of output
//!     players of E, channel 11                    2f+1 of players    | share' adopted by E+1
//! ```
//!
//! 1. **Request.** More than two thirds of a committee ask for a rotation on chain. From the next
//!    full epoch on a ceremony runs in every epoch until one succeeds.
//! 2. **Ceremony** ([`driver`], [`actor`], [`ceremony`]). glue's one-shot key generation, an ed25519
//!    chain of its own over sub-channels of channel 11, with its own storage and its own [`secrets`].
//! 3. **Endorsements** ([`proof`], [`pool`]). Who holds its new share signs
//!    `epoch ‖ keccak256(output)` and sends it, with the output, to all peers ([`wire`]).
//! 4. **Handover** ([`handover`], [`application`]). A leader of the epoch's last block who has at
//!    least `n - f` endorsements of the `n` players puts the new output in the place of the reshared
//!    one, and the endorsements beside it. Everybody checks them; players, next players and
//!    directory stay as resharing derived them. The chain itself takes such a block only while a
//!    rotation is due, and announces the new key to Ethereum in it, under the old one.
//! 5. **Adoption** ([`adopt`]). When that block is final, each player's new share becomes its share
//!    of the next epoch, and is signed with at once.
//!
//! # What can go wrong, and what then
//!
//! Nothing is on chain before the handover. A ceremony that fails, comes too late, or whose
//! endorsements the last leader lacks changes nothing: the reshared output of the old key takes
//! effect as in every epoch, the request stands, and the next epoch tries again. A player that is
//! silent through the ceremony holds no usable share and is a faulty delegate of the next epoch,
//! as after resharing. When resharing fails in the same epoch *and* would have changed the
//! committee, there is no handover: the old committee stays, and the new key is not its own.
//!
//! A player that loses its secrets but keeps the ceremony's files cannot go on; its node stops with
//! the engine, as it would with the chain's own ceremony, until that epoch is over.
//!
//! What the ceremony's engine blocks for misbehaviour is unheard on channel 11 only: a rotation
//! never costs the living chain a connection.
//!
//! # Wire
//!
//! Channel 11 is muxed (`varint(sub-channel) ‖ payload`):
//!
//! ```txt
//! sub-channel 0              endorsements (see [`wire`])
//! sub-channel 8 x E + 1 .. 6 votes, certificates, resolver, backfill, broadcast, dealings of E
//! ```
//!
//! # Limits
//!
//! At most [`MAX_PLAYERS`] players; one ceremony at a time; one endorsement kept per player;
//! endorsements sent again every [`RESEND`]; the engine stops [`GRACE`] after enough have endorsed,
//! for its chain would go on as fast as the network carries it. A payload is at most
//! [`max_payload_size`].

pub mod actor;
pub mod adopt;
pub mod application;
pub mod ceremony;
pub mod circle;
pub mod driver;
pub mod handover;
pub mod pool;
pub mod proof;
pub mod secrets;
pub mod wire;

use crate::committee::SHARING_MODES;
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_glue::dkg::bootstrap;
use commonware_p2p::utils::mux;
use commonware_utils::sequence::Unit;
use mileverse_primitives::genesis::MAX_VALIDATORS;
use std::{num::NonZeroU32, time::Duration};

pub use crate::block::Output;
pub use actor::{Assignment, Config, Phase, Rotation, State};
pub use proof::{Endorsement, Refused};

/// The validators' channel that rotations use.
pub const CHANNEL: u64 = 11;
/// The file of rotations' secrets, in a node's data directory.
pub const SECRETS_FILE: &str = "rotation-secrets.json";
/// Most players in a ceremony.
pub const MAX_PLAYERS: usize = MAX_VALIDATORS;
/// How often an endorsement is sent again, for those who were away.
pub const RESEND: Duration = Duration::from_secs(3);
/// How long a ceremony that has made a key goes on for players who lag.
pub const GRACE: Duration = Duration::from_secs(30);

/// The sub-channel of endorsements.
pub(crate) const ENDORSEMENTS: u64 = 0;

/// Sub-channel `lane` (1 to 6) of the ceremony of `epoch`; never [`ENDORSEMENTS`].
pub(crate) const fn lane(epoch: u64, lane: u64) -> u64 {
    (epoch << 3) | (lane & 7)
}

/// Largest payload that channel 11 carries for a ceremony among at most `players`.
pub fn max_payload_size(players: NonZeroU32) -> usize {
    mux::prefixed(
        bootstrap::max_payload_size::<MinSig, Unit>(players, SHARING_MODES)
            .max(wire::max_encode_size(players)),
    )
}
