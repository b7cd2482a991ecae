//! `secrets.json`: what a node may show nobody of the ceremonies it took part in.
//!
//! Sealed as the parent module draws, for one identity on one chain. The plaintext is the list of
//! all entries, ascending, each name once:
//!
//! ```txt
//! entry = epoch (8) ‖ kind (1) ‖ dealer's length (1) ‖ dealer ‖ secret's length (1) ‖ secret
//!
//! kind  dealer            secret
//! 1     none              this node's share: index (varint) ‖ scalar (32)
//! 2     none              the seed of this node's own dealing (32): decides every share it dealt
//! 3     ed25519 (32)      what that dealer sent in private (32)
//! ```
//!
//! A write is durable when its future resolves: sealed under a fresh nonce, written beside, synced,
//! renamed, directory synced. That takes a few milliseconds and happens on a thread of its own,
//! about three times per dealer and epoch. A write that fails never resolves, because an
//! acknowledged secret that is lost could make its owner contradict itself after a restart;
//! instead the node is told to stop. Limit: a sealed file's, enough for the dealings of 99 delegates
//! over sixty epochs; the chain's ceremonies keep two.

use super::{
    Cost, Passphrase, SecretError,
    envelope::{Kind as FileKind, Label, Sealer},
    file,
};
use commonware_codec::{Copying, DecodeExt, Write};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    PublicKey,
    bls12381::{dkg::feldman_desmedt::DealerPrivMsg, primitives::group::Share},
    transcript::Summary,
};
use commonware_glue::dkg::SecretStore;
use futures::channel::oneshot;
use mileverse_primitives::B256;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};
use tokio::sync::mpsc::UnboundedSender;
use zeroize::Zeroizing;

/// Longest secret or dealer's name, bytes.
const MAX_PART: usize = 96;

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Share,
    Seed,
    Dealing,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Share => 1,
            Self::Seed => 2,
            Self::Dealing => 3,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Share),
            2 => Some(Self::Seed),
            3 => Some(Self::Dealing),
            _ => None,
        }
    }

    /// Whether the bytes are such a secret.
    fn reads(self, dealer: &[u8], secret: &[u8]) -> bool {
        match self {
            Self::Share => dealer.is_empty() && Share::decode(Copying(secret)).is_ok(),
            Self::Seed => dealer.is_empty() && Summary::decode(Copying(secret)).is_ok(),
            Self::Dealing => !dealer.is_empty() && DealerPrivMsg::decode(Copying(secret)).is_ok(),
        }
    }
}

type Name = (u64, Kind, Vec<u8>);
type Secret = Zeroizing<Vec<u8>>;
type Entries = BTreeMap<Name, Secret>;

/// Whose store is opened, and where.
pub struct Setup {
    /// The file.
    pub path: PathBuf,
    /// The node's ed25519 public key.
    pub identity: B256,
    /// Genesis hash of its chain.
    pub chain: B256,
    /// The share of epoch 0 that a genesis dealing gave; kept when the store is new.
    pub dealt: Option<Share>,
    /// Cost of a new file's passphrase.
    pub cost: Cost,
}

struct Job {
    plaintext: Secret,
    done: oneshot::Sender<()>,
}

/// The secrets of a node's ceremonies.
pub struct Secrets {
    entries: Entries,
    writer: SyncSender<Job>,
}

impl Secrets {
    /// Opens the store, or makes it if there is none.
    ///
    /// A failed write later on sends one sentence to `fatal` and is never acknowledged.
    pub fn open(
        setup: Setup,
        passphrase: &Passphrase,
        fatal: UnboundedSender<String>,
    ) -> Result<Self, SecretError> {
        let Setup {
            path,
            identity,
            chain,
            dealt,
            cost,
        } = setup;
        let (sealer, entries) = if path.exists() {
            let text = file::read(&path)?;
            let (sealer, plaintext) = Sealer::open(&path, &text, FileKind::Secrets, passphrase)?;
            let label = sealer.label();
            if label.chain != chain {
                return Err(SecretError::OtherChain {
                    path,
                    found: label.chain,
                    expected: chain,
                });
            }
            if label.identity != identity {
                return Err(SecretError::OtherIdentity {
                    path,
                    found: label.identity,
                    expected: identity,
                });
            }
            let entries = decode(&plaintext).ok_or_else(|| SecretError::Damaged(path.clone()))?;
            (sealer, entries)
        } else {
            let label = Label {
                kind: FileKind::Secrets,
                identity,
                chain,
            };
            let sealer = Sealer::new(&path, label, passphrase, cost)?;
            let mut entries = Entries::new();
            if let Some(share) = dealt {
                entries.insert((0, Kind::Share, Vec::new()), secret(&share));
            }
            file::replace(&path, &sealer.seal(&encode(&entries))?)?;
            (sealer, entries)
        };
        let (writer, jobs) = sync_channel(1);
        std::thread::Builder::new()
            .name("secrets".into())
            .spawn(move || write_all(&path, &sealer, &jobs, &fatal))
            .map_err(|source| SecretError::Write {
                path: "secrets".into(),
                source,
            })?;
        Ok(Self { entries, writer })
    }

    /// The epochs that this node holds a share of.
    pub fn shares(&self) -> Vec<u64> {
        self.entries
            .keys()
            .filter(|(_, kind, _)| *kind == Kind::Share)
            .map(|(epoch, _, _)| *epoch)
            .collect()
    }

    fn put(&mut self, name: Name, value: Secret) -> impl Future<Output = ()> + Send + use<> {
        self.entries.insert(name, value);
        // Even if nothing changed: an earlier write of the same may not be on disk yet.
        self.persist(true)
    }

    fn get<T: DecodeExt<()>>(&self, name: &Name) -> Option<T> {
        // What cannot be decoded was refused when the store was opened.
        T::decode(Copying(self.entries.get(name)?.as_slice())).ok()
    }

    /// Resolves when what is held now is on disk.
    fn persist(&self, changed: bool) -> impl Future<Output = ()> + Send + use<> {
        let (done, written) = oneshot::channel();
        let sent = !changed
            || self
                .writer
                .send(Job {
                    plaintext: encode(&self.entries),
                    done,
                })
                .is_ok();
        async move {
            if changed && (!sent || written.await.is_err()) {
                // The writer has said why; this secret must not be acknowledged.
                futures::future::pending::<()>().await;
            }
        }
    }
}

/// The writing thread: ends when the store is dropped, or at the first failure.
fn write_all(
    path: &std::path::Path,
    sealer: &Sealer,
    jobs: &Receiver<Job>,
    fatal: &UnboundedSender<String>,
) {
    while let Ok(Job { plaintext, done }) = jobs.recv() {
        let written = sealer
            .seal(&plaintext)
            .and_then(|text| file::replace(path, &text));
        if let Err(error) = written {
            let _ = fatal.send(format!(
                "a secret of this epoch's ceremony could not be kept: {error}"
            ));
            return;
        }
        let _ = done.send(());
    }
}

impl SecretStore for Secrets {
    fn put_share(&mut self, epoch: Epoch, share: Share) -> impl Future<Output = ()> + Send {
        self.put((epoch.get(), Kind::Share, Vec::new()), secret(&share))
    }

    async fn get_share(&mut self, epoch: Epoch) -> Option<Share> {
        self.get(&(epoch.get(), Kind::Share, Vec::new()))
    }

    fn put_seed(&mut self, epoch: Epoch, seed: Summary) -> impl Future<Output = ()> + Send {
        self.put((epoch.get(), Kind::Seed, Vec::new()), secret(&seed))
    }

    async fn get_seed(&mut self, epoch: Epoch) -> Option<Summary> {
        self.get(&(epoch.get(), Kind::Seed, Vec::new()))
    }

    fn put_dealing<P: PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: P,
        private: DealerPrivMsg,
    ) -> impl Future<Output = ()> + Send {
        self.put(
            (epoch.get(), Kind::Dealing, dealer.as_ref().to_vec()),
            secret(&private),
        )
    }

    async fn get_dealing<P: PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: &P,
    ) -> Option<DealerPrivMsg> {
        self.get(&(epoch.get(), Kind::Dealing, dealer.as_ref().to_vec()))
    }

    fn prune(&mut self, min: Epoch) -> impl Future<Output = ()> + Send {
        let before = self.entries.len();
        self.entries.retain(|(epoch, _, _), _| *epoch >= min.get());
        self.persist(self.entries.len() != before)
    }
}

/// A secret's bytes, in memory that is wiped.
fn secret(value: &impl Write) -> Secret {
    // Larger than any of them, so that no reallocation leaves a copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(MAX_PART));
    value.write(&mut *out);
    out
}

fn encode(entries: &Entries) -> Secret {
    let length = entries
        .iter()
        .map(|((_, _, dealer), secret)| {
            dealer.len().saturating_add(secret.len()).saturating_add(11)
        })
        .fold(0usize, usize::saturating_add);
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    for ((epoch, kind, dealer), secret) in entries {
        out.extend_from_slice(&epoch.to_be_bytes());
        out.push(kind.byte());
        for part in [dealer.as_slice(), secret.as_slice()] {
            // Both are far below 255: keys of 32 bytes and scalars.
            out.push(part.len().try_into().unwrap_or(u8::MAX));
            out.extend_from_slice(part);
        }
    }
    out
}

fn decode(mut text: &[u8]) -> Option<Entries> {
    let mut entries = Entries::new();
    while !text.is_empty() {
        let (epoch, rest) = text.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let kind = Kind::of(*kind)?;
        let (dealer, rest) = part(rest)?;
        let (secret, rest) = part(rest)?;
        text = rest;
        let name = (u64::from_be_bytes(*epoch), kind, dealer.to_vec());
        let ascending = entries
            .last_key_value()
            .is_none_or(|(last, _)| *last < name);
        if !kind.reads(dealer, secret) || !ascending {
            return None;
        }
        entries.insert(name, Zeroizing::new(secret.to_vec()));
    }
    Some(entries)
}

fn part(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = text.split_first()?;
    let length = usize::from(*length);
    if length > MAX_PART {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_cryptography::{
        Signer as _,
        bls12381::primitives::group::{Private, Scalar},
        ed25519,
    };
    use commonware_math::algebra::Random as _;
    use commonware_utils::Participant;
    use futures::{FutureExt as _, executor::block_on};
    use std::{fs, path::Path};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    const IDENTITY: B256 = B256::repeat_byte(1);
    const CHAIN: B256 = B256::repeat_byte(2);

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse").unwrap()
    }

    fn setup(directory: &Path) -> Setup {
        Setup {
            path: directory.join("secrets.json"),
            identity: IDENTITY,
            chain: CHAIN,
            dealt: None,
            cost: Cost::LIGHT,
        }
    }

    fn open(directory: &Path) -> (Secrets, UnboundedReceiver<String>) {
        let (fatal, failures) = unbounded_channel();
        let secrets = Secrets::open(setup(directory), &passphrase(), fatal).unwrap();
        (secrets, failures)
    }

    fn refusal(setup: Setup, passphrase: &Passphrase) -> SecretError {
        Secrets::open(setup, passphrase, unbounded_channel().0)
            .err()
            .unwrap()
    }

    fn share(index: u32) -> Share {
        let scalar = Scalar::random(rand::rng());
        Share::new(Participant::new(index), Private::new(scalar))
    }

    fn dealing() -> DealerPrivMsg {
        DealerPrivMsg::new(Scalar::random(rand::rng()))
    }

    fn dealer(seed: u64) -> ed25519::PublicKey {
        ed25519::PrivateKey::from_seed(seed).public_key()
    }

    #[test]
    fn everything_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (share, seed) = (share(7), Summary::random(rand::rng()));
        let (one, two) = (dealing(), dealing());
        let epoch = Epoch::new(5);
        {
            let (mut secrets, _failures) = open(directory.path());
            block_on(async {
                secrets.put_share(epoch, share.clone()).await;
                secrets.put_seed(epoch, seed).await;
                secrets.put_dealing(epoch, dealer(1), one.clone()).await;
                secrets.put_dealing(epoch, dealer(2), two.clone()).await;
                // The same once more changes nothing.
                secrets.put_dealing(epoch, dealer(2), two.clone()).await;
            });
        }
        let (mut secrets, _failures) = open(directory.path());
        assert_eq!(secrets.shares(), [5]);
        block_on(async {
            assert_eq!(secrets.get_share(epoch).await, Some(share));
            assert_eq!(secrets.get_seed(epoch).await, Some(seed));
            assert_eq!(secrets.get_dealing(epoch, &dealer(1)).await, Some(one));
            assert_eq!(secrets.get_dealing(epoch, &dealer(2)).await, Some(two));
            assert_eq!(secrets.get_dealing(epoch, &dealer(3)).await, None);
            assert_eq!(secrets.get_share(Epoch::new(4)).await, None);
            assert_eq!(secrets.get_seed(Epoch::new(6)).await, None);
        });
    }

    #[test]
    fn an_acknowledged_write_needs_no_goodbye() {
        // As after SIGKILL: the store is never dropped, the file alone must do.
        let directory = tempfile::tempdir().unwrap();
        let (mut secrets, _failures) = open(directory.path());
        for number in 0..20u32 {
            let epoch = Epoch::new(u64::from(number));
            let share = share(number);
            block_on(secrets.put_share(epoch, share.clone()));
            let (mut after, _failures) = open(directory.path());
            assert_eq!(block_on(after.get_share(epoch)), Some(share));
        }
    }

    #[test]
    fn what_is_pruned_is_gone_for_good() {
        let directory = tempfile::tempdir().unwrap();
        {
            let (mut secrets, _failures) = open(directory.path());
            block_on(async {
                for number in 0..4 {
                    let epoch = Epoch::new(number);
                    secrets.put_share(epoch, share(0)).await;
                    secrets.put_seed(epoch, Summary::random(rand::rng())).await;
                    secrets.put_dealing(epoch, dealer(1), dealing()).await;
                }
                secrets.prune(Epoch::new(3)).await;
            });
            assert_eq!(secrets.shares(), [3]);
        }
        let (mut secrets, _failures) = open(directory.path());
        assert_eq!(secrets.shares(), [3]);
        let old = block_on(secrets.get_dealing(Epoch::new(2), &dealer(1)));
        assert_eq!(old, None);
        assert!(block_on(secrets.get_seed(Epoch::new(3))).is_some());
    }

    #[test]
    fn a_dealt_share_is_taken_once_at_the_first_start() {
        let directory = tempfile::tempdir().unwrap();
        let dealt = share(2);
        let start = |dealt: Share| {
            let setup = Setup {
                dealt: Some(dealt),
                ..setup(directory.path())
            };
            Secrets::open(setup, &passphrase(), unbounded_channel().0).unwrap()
        };
        let mut secrets = start(dealt.clone());
        assert_eq!(block_on(secrets.get_share(Epoch::zero())), Some(dealt));
        block_on(secrets.prune(Epoch::new(1)));
        drop(secrets);
        // Pruned by the chain: the dealing must not come back.
        assert!(start(share(2)).shares().is_empty());
    }

    #[test]
    fn files_of_others_and_damaged_ones_are_one_sentence_each() {
        let directory = tempfile::tempdir().unwrap();
        {
            let (mut secrets, _failures) = open(directory.path());
            block_on(secrets.put_share(Epoch::zero(), share(0)));
        }
        let other = Setup {
            chain: B256::repeat_byte(9),
            ..setup(directory.path())
        };
        let chain = refusal(other, &passphrase());
        assert!(matches!(chain, SecretError::OtherChain { .. }));
        let other = Setup {
            identity: B256::repeat_byte(9),
            ..setup(directory.path())
        };
        let identity = refusal(other, &passphrase());
        assert!(matches!(identity, SecretError::OtherIdentity { .. }));
        let wrong = refusal(
            setup(directory.path()),
            &Passphrase::new("something else").unwrap(),
        );
        assert!(matches!(wrong, SecretError::WrongPassphrase(_)));
        let path = directory.path().join("secrets.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut damaged: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sealed = damaged["sealed"].as_str().unwrap();
        let flipped = if sealed.ends_with('0') { "1" } else { "0" };
        damaged["sealed"] = format!("{}{flipped}", &sealed[..sealed.len() - 1]).into();
        fs::write(&path, damaged.to_string()).unwrap();
        let damage = refusal(setup(directory.path()), &passphrase());
        assert!(matches!(damage, SecretError::Damaged(_)));
        for error in [chain, identity, wrong, damage] {
            let sentence = error.to_string();
            assert!(sentence.contains("secrets.json"), "{sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
        // Half a file, as no write of ours leaves it.
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        let half = refusal(setup(directory.path()), &passphrase());
        assert!(matches!(half, SecretError::Format { .. }));
    }

    #[test]
    fn a_write_that_fails_is_told_and_never_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let (mut secrets, mut failures) = open(directory.path());
        drop(directory);
        let mut write = secrets.put_share(Epoch::zero(), share(0)).boxed();
        let sentence = block_on(async {
            tokio::select! {
                () = &mut write => None,
                sentence = failures.recv() => sentence,
            }
        });
        assert!(sentence.unwrap().contains("could not be kept"));
        assert!(write.now_or_never().is_none());
        assert!(secrets.prune(Epoch::new(9)).now_or_never().is_none());
    }

    #[test]
    fn plaintexts_of_another_shape_are_damage() {
        let mut entries = Entries::new();
        entries.insert((1, Kind::Share, Vec::new()), secret(&share(1)));
        entries.insert((1, Kind::Dealing, vec![7; 32]), secret(&dealing()));
        let good = encode(&entries);
        assert_eq!(decode(&good), Some(entries));
        for length in 1..good.len() {
            let half = decode(&good[..length]);
            assert!(half.is_none_or(|entries| entries.len() == 1), "{length}");
        }
        let twice = [good.as_slice(), good.as_slice()].concat();
        assert_eq!(decode(&twice), None);
        let mut kind = good.to_vec();
        kind[8] = 4;
        assert_eq!(decode(&kind), None);
        let mut long = good.to_vec();
        long[9] = 200;
        assert_eq!(decode(&long), None);
    }
}
