//! A leader that signs a second header for each view that it leads, and shows it to one peer.

use commonware_codec::Encode as _;
use commonware_cryptography::ed25519;
use commonware_p2p::{Recipients, Sender};
use mileverse_consensus::watch;
use mileverse_consensus::{application::Tip, block::PublicKey, proposal::SignedHeader};
use mileverse_primitives::B256;

/// For each final block of `key`'s own: another header of that view, to `victim` alone.
pub async fn run<S: Sender<PublicKey = PublicKey>>(
    chain_id: u64,
    key: ed25519::PrivateKey,
    victim: PublicKey,
    mut tips: watch::Receiver<Tip>,
    mut sender: S,
) {
    use commonware_cryptography::Signer as _;
    let me = B256::from_slice(&key.public_key());
    while tips.changed().await.is_ok() {
        let mut header = tips.borrow_and_update().header.clone();
        if header.turn.leader == me {
            header.timestamp_ms += 1;
            let twin = vec![SignedHeader::sign(chain_id, header, &key)];
            let _ = sender.send(Recipients::One(victim.clone()), twin.encode(), false);
        }
    }
}
