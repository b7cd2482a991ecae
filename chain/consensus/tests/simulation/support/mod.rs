//! A net for the simulator, described as data ([`Shape`]), and what must hold of it.

pub mod filling;
pub mod property;
pub mod twin;

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use commonware_codec::Encode as _;
use commonware_consensus::types::{Epoch, Height, Round, View};
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt,
        primitives::{
            group::Share,
            sharing::Mode,
            variant::{MinSig, Variant},
        },
    },
    ed25519,
};
use commonware_glue::simulate::{
    engine::{EngineDefinition, InitContext},
    processed::ProcessedHeight,
    tracker::FinalizationUpdate,
};
use commonware_p2p::Address as Location;
use commonware_runtime::{Handle, Quota, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{N3f1, NZU32, TestRng, TryCollect as _, ordered::Set};
use filling::{BLOCK_GAS, Filling};
use mileverse_consensus::watch;
use mileverse_consensus::{
    application::{self, Tip},
    block::{Output, PublicKey},
    committee::First,
    duties::{self, Duties},
    engine::{
        self, Marshal, Start, memory::MemorySecrets, participants::Elected, schemes::Schemes,
    },
    index::Index,
    mempool::{Mempool, Sender},
    state,
    sync::Progress,
};
use mileverse_execution::{Executor, Transaction};
use mileverse_primitives::{
    Address, B256, U256,
    abi::{IPoints, IRotation, IStaking},
    address::{POINTS, ROTATION, STAKING},
    bridge::BridgeRules,
    certificate,
    fees::FeeRules,
    genesis::{Committee, EthereumSide, Genesis, Issuer, Seat},
    keccak256,
    points::PointsRules,
    rewards::RewardRules,
    staking::{Allocation, StakingRules, coins},
    vote::possession_namespace,
};
use mileverse_simulation::{
    Audience, CHANNELS, Deaf, Disk, Endpoint, Endpoints, EthereumClock, Launch, Rota, Voice, launch,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;

pub const CHAIN_ID: u64 = 77_771;
const CEREMONY: u64 = 6;
/// Where the channel of signed headers stands among [`CHANNELS`].
const HEADERS: usize = 7;
/// Issues of points that wait in the mempools from the start.
pub const ISSUES: u64 = 20;

/// What a net is like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// All nodes, of which some sit in the committee.
    pub nodes: usize,
    /// Seats of the committee.
    pub seats: usize,
    /// How many members are replaced at each epoch.
    pub stride: usize,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
    /// What the validators' Ethereum endpoints are like.
    pub endpoints: Endpoints,
    /// Nodes (by number) that hear nothing of some epochs' ceremonies.
    pub deaf: BTreeMap<usize, BTreeSet<u64>>,
    /// Epochs whose ceremony must fail; all others must succeed.
    pub failing: BTreeSet<u64>,
    /// Members whose owners ask for a new group key from the start.
    pub asking: usize,
    /// The height from which they ask for another one.
    pub asking_again: Option<u64>,
    /// Nodes (by number) that take no part in making one, though they are its players.
    pub mute: BTreeSet<usize>,
    /// Nodes (by number) that sign a second header for each view they lead.
    pub twins: BTreeSet<usize>,
    /// Nodes (by number) whose execution gives another result than everybody's.
    pub corrupted: BTreeSet<usize>,
    /// What fills some blocks to their limit.
    pub filling: Option<Filling>,
}

impl Shape {
    /// `seats` nodes that all sit in the committee for ever.
    pub fn committee(seats: usize) -> Self {
        Self {
            nodes: seats,
            seats,
            stride: 0,
            epoch_blocks: 16,
            endpoints: Endpoints::default(),
            deaf: BTreeMap::new(),
            failing: BTreeSet::new(),
            asking: 0,
            asking_again: None,
            mute: BTreeSet::new(),
            twins: BTreeSet::new(),
            corrupted: BTreeSet::new(),
            filling: None,
        }
    }
}

/// What the simulator starts nodes from.
#[derive(Clone)]
pub struct Net {
    /// What it is like.
    pub shape: Shape,
    /// Who sits when.
    pub rota: Rota,
    /// Hash of the genesis file.
    pub genesis_hash: B256,
    /// What nodes said when they stopped by themselves.
    pub stopped: Arc<Mutex<Vec<String>>>,
    /// Ascending by public key.
    identities: Vec<ed25519::PrivateKey>,
    genesis: Genesis,
    ethereum: EthereumClock,
    directory: Arc<tempfile::TempDir>,
    /// A node's index and secrets outlive its crashes, as files do.
    indexes: Arc<Mutex<BTreeMap<usize, Index>>>,
    secrets: Vec<MemorySecrets>,
    rotation_secrets: Vec<MemorySecrets>,
    /// Transactions with their senders' balances.
    waiting: Arc<Vec<(Transaction, U256)>>,
}

fn location(number: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9000 + u16::try_from(number).unwrap()))
}

impl Net {
    /// A net with keys from `seed`.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let mut rng = TestRng::new(seed);
        let mut identities: Vec<ed25519::PrivateKey> = (0..shape.nodes as u64)
            .map(|n| ed25519::PrivateKey::from_seed(seed * 1000 + n))
            .collect();
        identities.sort_by_key(|identity| identity.public_key());
        let words: Vec<B256> = identities
            .iter()
            .map(|identity| B256::from_slice(&identity.public_key()))
            .collect();
        let members: Set<PublicKey> = identities[..shape.seats]
            .iter()
            .map(|identity| identity.public_key())
            .try_collect()
            .unwrap();
        let (output, shares): (Output, _) =
            feldman_desmedt::deal::<_, _, N3f1>(&mut rng, Mode::NonZeroCounter, members).unwrap();
        let share = |identity: &ed25519::PrivateKey| -> Option<Share> {
            shares.get_value(&identity.public_key()).cloned()
        };
        let secrets = identities
            .iter()
            .map(|identity| MemorySecrets::new(share(identity)))
            .collect();
        // Each its own: clones of one would share it.
        let rotation_secrets = (0..shape.nodes).map(|_| MemorySecrets::default()).collect();
        let seats = (0..shape.seats).map(|number| Seat {
            owner: owner(number).address(),
            address: location(number),
            stake: coins(10_000),
            commission_bp: 500,
        });
        let issuer = PrivateKeySigner::from_bytes(&keccak256("issuer")).unwrap();
        let newcomers: Vec<Newcomer> = (shape.seats..shape.nodes)
            .map(|number| Newcomer {
                owner: PrivateKeySigner::from_bytes(&keccak256(number.to_be_bytes())).unwrap(),
                identity: identities[number].clone(),
                address: location(number),
            })
            .collect();
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: 0,
            gas_limit: shape.filling.map_or(30_000_000, |_| BLOCK_GAS),
            block_time_ms: 200,
            idle_block_time_ms: 1000,
            epoch_blocks: shape.epoch_blocks,
            committee: Committee::seated(
                words[..shape.seats].iter().copied(),
                output.encode().to_vec().into(),
                seats,
            ),
            points: PointsRules::default(),
            fees: FeeRules::default(),
            issuers: vec![Issuer {
                address: issuer.address(),
                daily_quota: U256::from(1_000_000_000u64),
            }],
            ethereum: EthereumSide {
                chain_id: 1,
                bridge: Address::repeat_byte(1),
                coin: Address::repeat_byte(2),
                points: Address::repeat_byte(3),
                hashed_timelock: None,
            },
            bridge: BridgeRules::default(),
            staking: StakingRules::default(),
            contracts: Vec::new(),
            peers: Vec::new(),
            rewards: RewardRules::default(),
            allocations: newcomers
                .iter()
                .map(|newcomer| Allocation {
                    address: newcomer.owner.address(),
                    amount: coins(20_000),
                })
                .collect(),
        };
        let nodes = words.iter().enumerate().map(|(number, word)| Elected {
            consensus_key: *word,
            address: location(number),
        });
        let rota = Rota {
            nodes: nodes.collect(),
            seats: shape.seats,
            stride: shape.stride,
            executor: Executor::new(&genesis),
        };
        let issues = (0..ISSUES).map(|nonce| (issue(&issuer, nonce), U256::ZERO));
        let registrations = newcomers
            .iter()
            .map(|newcomer| (newcomer.register(), coins(20_000)));
        let filling = shape.filling.map(Filling::transactions);
        let filling = filling.into_iter().flatten().map(|one| (one, U256::ZERO));
        let requests = (0..shape.asking).map(|number| (request(number, 0), U256::ZERO));
        let waiting = issues
            .chain(registrations)
            .chain(requests)
            .chain(filling)
            .collect();
        Self {
            rota,
            shape,
            genesis_hash: genesis.hash().unwrap(),
            stopped: Arc::default(),
            identities,
            genesis,
            ethereum: EthereumClock::eager(),
            directory: Arc::new(tempfile::tempdir().unwrap()),
            indexes: Arc::default(),
            rotation_secrets,
            secrets,
            waiting: Arc::new(waiting),
        }
    }

    /// The group key of block 0.
    pub fn group_key(&self) -> <MinSig as Variant>::Public {
        let first = First::read(&self.genesis.committee).unwrap();
        *first.output.public().public()
    }

    /// The key of node `number`.
    pub fn key(&self, number: usize) -> PublicKey {
        self.identities[number].public_key()
    }

    /// Every other node, so that nobody is cut off when it leaves the committee.
    fn guests(&self, number: usize) -> Vec<(PublicKey, Location)> {
        (0..self.identities.len())
            .filter(|other| *other != number)
            .map(|other| (self.key(other), location(other).into()))
            .collect()
    }

    fn index(&self, number: usize) -> Index {
        self.indexes
            .lock()
            .unwrap()
            .entry(number)
            .or_insert_with(|| {
                let path = self.directory.path().join(format!("{number}.redb"));
                Index::open(&path, self.genesis_hash).unwrap()
            })
            .clone()
    }

    /// A corrupted node does not know the issuer, so its issues fail there.
    fn executor(&self, number: usize) -> Executor {
        let mut genesis = self.genesis.clone();
        if self.shape.corrupted.contains(&number) {
            genesis.issuers.clear();
        }
        Executor::new(&genesis)
    }

    fn mempool(&self) -> Mempool {
        let mempool = Mempool::new(self.genesis.gas_limit);
        for (transaction, balance) in self.waiting.iter() {
            let sender = Sender {
                nonce: 0,
                balance: *balance,
                ..Sender::default()
            };
            mempool.add(transaction.clone(), sender).unwrap();
        }
        mempool
    }
}

/// Who owns member `number`.
fn owner(number: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(
        [b"owner", number.to_be_bytes().as_slice()].concat(),
    ))
    .unwrap()
}

/// A node that is not in the first committee and asks to be a candidate.
struct Newcomer {
    owner: PrivateKeySigner,
    identity: ed25519::PrivateKey,
    address: SocketAddr,
}

impl Newcomer {
    fn register(&self) -> Transaction {
        let possession = self.identity.sign(
            &possession_namespace(CHAIN_ID),
            self.owner.address().as_slice(),
        );
        let call = IStaking::registerCall {
            consensusKey: B256::from_slice(&self.identity.public_key()),
            possession: possession.encode().to_vec().into(),
            networkAddress: self.address.to_string(),
            commissionBp: 500,
            profile: IStaking::Profile {
                name: "newcomer".into(),
                website: String::new(),
            },
        };
        sign(&self.owner, STAKING, 0, coins(10_000), call.abi_encode())
    }
}

/// The owner of member `number` asks for a new group key.
fn request(number: usize, nonce: u64) -> Transaction {
    let call = IRotation::requestCall {}.abi_encode();
    sign(&owner(number), ROTATION, nonce, U256::ZERO, call)
}

fn issue(issuer: &PrivateKeySigner, nonce: u64) -> Transaction {
    let call = IPoints::issueCall {
        to: Address::repeat_byte(0x77),
        amount: U256::from(1000),
        conversionId: keccak256(nonce.to_be_bytes()),
    };
    sign(issuer, POINTS, nonce, U256::ZERO, call.abi_encode())
}

fn sign(
    signer: &PrivateKeySigner,
    to: Address,
    nonce: u64,
    value: U256,
    input: Vec<u8>,
) -> Transaction {
    let transaction = TxEip1559 {
        nonce,
        gas_limit: 1_000_000,
        to: TxKind::Call(to),
        value,
        input: input.into(),
        ..Default::default()
    };
    signed(signer, transaction)
}

fn signed(signer: &PrivateKeySigner, transaction: TxEip1559) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        ..transaction
    };
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    Transaction::decode(&envelope.encoded_2718(), CHAIN_ID).unwrap()
}

/// A running node, as far as the simulator looks into it.
pub struct Validator {
    /// Its blocks.
    pub index: Index,
    /// Its newest final block.
    pub tip: watch::Receiver<Tip>,
    /// What it signs with in each epoch.
    pub schemes: Schemes,
    /// Its certificates.
    pub marshal: Marshal,
    /// What it answers for.
    pub duties: Duties,
    /// How it came to its state.
    pub progress: Progress,
}

/// Tells the simulator of every final block, for as long as the node lives.
fn report(
    context: deterministic::Context,
    key: PublicKey,
    mut tips: watch::Receiver<Tip>,
    monitor: tokio::sync::mpsc::UnboundedSender<FinalizationUpdate<PublicKey>>,
) {
    context.spawn(move |_| async move {
        while tips.changed().await.is_ok() {
            let tip = tips.borrow_and_update().clone();
            let turn = tip.header.turn;
            let update = FinalizationUpdate {
                pk: key.clone(),
                round: Round::new(Epoch::new(turn.epoch), View::new(turn.view)),
                height: Height::new(tip.header.height),
                block_digest: tip.digest.to_vec(),
            };
            if monitor.send(update).is_err() {
                return;
            }
        }
    });
}

impl ProcessedHeight for Validator {
    async fn processed_height(&self) -> u64 {
        self.tip.borrow().header.height
    }
}

impl EngineDefinition for Net {
    type PublicKey = PublicKey;
    type Engine = Handle<()>;
    type State = Validator;

    fn participants(&self) -> Vec<PublicKey> {
        (0..self.identities.len())
            .map(|number| self.key(number))
            .collect()
    }

    fn channels(&self) -> Vec<(u64, Quota)> {
        CHANNELS
            .map(|channel| (channel, Quota::per_second(NZU32!(1024))))
            .into()
    }

    fn max_message_size(&self) -> u32 {
        engine::largest_message(self.genesis.limits())
    }

    async fn init(&self, ctx: InitContext<'_, PublicKey>) -> (Handle<()>, Validator) {
        let number = ctx.index;
        let executor = self.executor(number);
        let first = First::read(&self.genesis.committee).unwrap();
        let index = self.index(number);
        let genesis_block = application::genesis_block(
            &self.genesis,
            &executor,
            &first,
            state::initial::<deterministic::Context>(),
        )
        .unwrap();
        let newest = index
            .newest()
            .unwrap()
            .unwrap_or_else(|| genesis_block.clone());
        let (tip, tips) = watch::channel(Tip {
            digest: newest.header.digest(),
            header: newest.header,
        });
        let schemes = Schemes::new(
            &certificate::namespace(CHAIN_ID),
            *first.output.public().public(),
        );
        let (fatal, mut failed) = mpsc::unbounded_channel();
        let stopped = self.stopped.clone();
        ctx.context.child("watch").spawn(move |_| async move {
            while let Some(reason) = failed.recv().await {
                stopped.lock().unwrap().push(format!("{number}: {reason}"));
            }
        });
        let progress = Progress::default();
        let deaf = self.shape.deaf.get(&number).cloned().unwrap_or_default();
        let (nothing, deaf) = (Arc::new(BTreeSet::new()), Arc::new(deaf));
        let lines: Vec<_> = CHANNELS
            .into_iter()
            .zip(ctx.channels)
            .map(|(channel, (sender, receiver))| {
                let missed = if channel == CEREMONY { &deaf } else { &nothing };
                let voice = Voice::new(sender, Audience::All);
                (voice, Deaf::new(receiver, missed.clone()))
            })
            .collect();
        // Whatever runs below this context ends with the node.
        let node = ctx.context.child("node");
        let files = self.directory.path().join(number.to_string());
        std::fs::create_dir_all(&files).unwrap();
        let duties = Duties::open(
            &ctx.context,
            duties::Setup {
                genesis: &self.genesis,
                genesis_hash: self.genesis_hash,
                genesis_block: &genesis_block,
                identity: self.identities[number].clone(),
                directory: &files,
                index: &index,
            },
        )
        .unwrap();
        if self.shape.twins.contains(&number) {
            let twin = twin::run(
                CHAIN_ID,
                self.identities[number].clone(),
                self.key((number + 1) % self.shape.nodes),
                tips.clone(),
                lines[HEADERS].0.clone(),
            );
            node.child("twin").spawn(move |_| twin);
        }
        let mempool = self.mempool();
        if let Some(height) = self.shape.asking_again {
            let (mempool, asking) = (mempool.clone(), self.shape.asking);
            let mut tips = tips.clone();
            node.child("owners").spawn(move |_| async move {
                let due = tips.wait_for(|tip| tip.header.height >= height).await;
                let sender = Sender {
                    nonce: 1,
                    balance: U256::ZERO,
                    ..Sender::default()
                };
                for number in (0..asking).filter(|_| due.is_ok()) {
                    mempool.add(request(number, 1), sender.clone()).unwrap();
                }
            });
        }
        let running = launch(Launch {
            context: node.child("validator"),
            disk: Disk::FAST,
            lines: lines.into(),
            oracle: ctx.oracle.clone(),
            guests: self.guests(number),
            identity: self.identities[number].clone(),
            prefix: format!("validator-{number}"),
            genesis: self.genesis.clone(),
            genesis_hash: self.genesis_hash,
            genesis_block,
            executor,
            ethereum: Endpoint::of(number, self.shape.endpoints, self.ethereum.clone()),
            elections: self.rota.clone(),
            secrets: self.secrets[number].clone(),
            rotation_secrets: self.rotation_secrets[number].clone(),
            rotates: !self.shape.mute.contains(&number),
            duties: duties.clone(),
            mempool,
            index: index.clone(),
            tip,
            schemes: schemes.clone(),
            fatal,
            leader_timeout: Duration::from_secs(3),
            // Who comes late does not replay.
            start: if ctx.delayed {
                Start::Sync
            } else {
                Start::Replay
            },
            progress: progress.clone(),
        })
        .await
        .unwrap();
        report(
            node.child("report"),
            ctx.public_key.clone(),
            tips.clone(),
            ctx.monitor.clone(),
        );
        let state = Validator {
            index,
            tip: tips,
            schemes,
            progress,
            marshal: running.marshal,
            duties,
        };
        let engine = running.engine;
        let node = node.spawn(move |_| async move {
            let _ = engine.await;
        });
        (node, state)
    }

    fn start(engine: Handle<()>) -> Handle<()> {
        engine
    }
}
