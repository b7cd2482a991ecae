//! A net of four validators for the simulator, and what must hold of it.

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use commonware_consensus::Heightable as _;
use commonware_cryptography::{
    Signer as _,
    bls12381::{dkg::feldman_desmedt, primitives::sharing::Mode},
    ed25519,
};
use commonware_glue::{
    simulate::{
        engine::{EngineDefinition, InitContext},
        processed::ProcessedHeight,
        property::Property,
        tracker::ProgressTracker,
    },
    stateful::db::DatabaseSet as _,
};
use commonware_runtime::{Handle, Quota, Supervisor as _, deterministic};
use commonware_utils::{N3f1, NZU32, TestRng, TryCollect as _, ordered::Set};
use mileverse_execution::{Executor, Transaction};
use mileverse_node::{
    application::{self, Application, Parts, Scheme, Tip},
    block::{self, PublicKey},
    consensus::{self, Channels},
    ethereum::{EthereumView, Verdict},
    index::Index,
    mempool::{Mempool, Sender},
    state::Databases,
};
use mileverse_primitives::{
    Address, B256, Bytes, U256,
    abi::IPoints,
    address::POINTS,
    certificate,
    checkpoint::Checkpoint,
    genesis::{Committee, EthereumSide, Genesis, Issuer},
    header::StateCommitment,
    keccak256,
};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, watch};

const VALIDATORS: usize = 4;
const CHAIN_ID: u64 = 77_771;
/// Issues of points that wait in the mempools from the start.
pub const ISSUES: u64 = 20;

/// How many validators' Ethereum endpoints lie or are dead; the others are honest.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    /// Offer and confirm headers that do not exist.
    pub liars: usize,
    /// Never answer.
    pub dead: usize,
}

impl Endpoints {
    /// All good.
    pub const HONEST: Self = Self { liars: 0, dead: 0 };
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Nature {
    Honest,
    Liar,
    Dead,
}

/// One validator's endpoint. Ethereum makes a block whenever anybody looks.
#[derive(Clone)]
pub struct Ethereum {
    nature: Nature,
    blocks: Arc<AtomicU64>,
}

fn truth(number: u64) -> Checkpoint {
    Checkpoint {
        number,
        hash: keccak256(number.to_be_bytes()),
        state_root: keccak256([number.to_be_bytes(), [7; 8]].concat()),
        timestamp: number,
    }
}

impl EthereumView for Ethereum {
    fn newest(&self) -> Option<Checkpoint> {
        let real = truth(
            self.blocks
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1),
        );
        match self.nature {
            Nature::Honest => Some(real),
            Nature::Liar => Some(Checkpoint {
                state_root: B256::repeat_byte(0xbd),
                ..real
            }),
            Nature::Dead => None,
        }
    }

    async fn check(&self, checkpoint: Checkpoint) -> Verdict {
        match self.nature {
            Nature::Honest if checkpoint == truth(checkpoint.number) => Verdict::Confirmed,
            Nature::Honest => Verdict::Denied,
            Nature::Liar => Verdict::Confirmed,
            Nature::Dead => Verdict::Unknown,
        }
    }
}

/// What the simulator starts validators from.
#[derive(Clone)]
pub struct Net {
    identities: Vec<PublicKey>,
    schemes: Vec<Scheme>,
    genesis: Genesis,
    endpoints: Endpoints,
    blocks: Arc<AtomicU64>,
    directory: Arc<tempfile::TempDir>,
    /// A validator's index outlives its crashes, as a file does.
    indexes: Arc<Mutex<BTreeMap<usize, Index>>>,
    waiting: Arc<Vec<Transaction>>,
}

impl Net {
    /// A net with keys from `seed`.
    pub fn new(seed: u64, endpoints: Endpoints) -> Self {
        let mut rng = TestRng::new(seed);
        let mut identities: Vec<PublicKey> = (0..VALIDATORS as u64)
            .map(|n| ed25519::PrivateKey::from_seed(seed * 100 + n).public_key())
            .collect();
        identities.sort();
        let members: Set<PublicKey> = identities.iter().cloned().try_collect().unwrap();
        let (output, shares) =
            feldman_desmedt::deal::<_, _, N3f1>(&mut rng, Mode::NonZeroCounter, members.clone())
                .unwrap();
        let schemes = identities
            .iter()
            .map(|identity| {
                Scheme::signer(
                    &certificate::namespace(CHAIN_ID),
                    members.clone(),
                    output.public().clone(),
                    shares.get_value(identity).unwrap().clone(),
                )
                .unwrap()
            })
            .collect();
        let issuer = PrivateKeySigner::from_bytes(&keccak256("issuer")).unwrap();
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: 0,
            gas_limit: 30_000_000,
            block_time_ms: 200,
            idle_block_time_ms: 1000,
            committee: Committee {
                validators: identities.iter().map(|key| B256::from_slice(key)).collect(),
                sharing: Bytes::new(),
            },
            issuers: vec![Issuer {
                address: issuer.address(),
                daily_quota: U256::from(1_000_000_000u64),
            }],
            ethereum: EthereumSide {
                chain_id: 1,
                bridge: Address::repeat_byte(1),
                coin: Address::repeat_byte(2),
                points: Address::repeat_byte(3),
            },
        };
        let waiting = (0..ISSUES).map(|nonce| issue(&issuer, nonce)).collect();
        Self {
            identities,
            schemes,
            genesis,
            endpoints,
            blocks: Arc::default(),
            directory: Arc::new(tempfile::tempdir().unwrap()),
            indexes: Arc::default(),
            waiting: Arc::new(waiting),
        }
    }

    fn nature(&self, validator: usize) -> Nature {
        if validator < self.endpoints.liars {
            Nature::Liar
        } else if validator < self.endpoints.liars + self.endpoints.dead {
            Nature::Dead
        } else {
            Nature::Honest
        }
    }
}

fn issue(issuer: &PrivateKeySigner, nonce: u64) -> Transaction {
    let call = IPoints::issueCall {
        to: Address::repeat_byte(0x77),
        amount: U256::from(1000),
        conversionId: keccak256(nonce.to_be_bytes()),
    };
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 300_000,
        to: TxKind::Call(POINTS),
        input: call.abi_encode().into(),
        ..Default::default()
    };
    let signature = issuer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    Transaction::decode(&envelope.encoded_2718(), CHAIN_ID).unwrap()
}

/// A running validator, as far as the simulator looks into it.
pub struct Validator {
    index: Index,
    tip: watch::Receiver<Tip>,
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
        self.identities.clone()
    }

    fn channels(&self) -> Vec<(u64, Quota)> {
        (0..5)
            .map(|channel| (channel, Quota::per_second(NZU32!(1024))))
            .collect()
    }

    fn max_message_size(&self) -> u32 {
        consensus::largest_message(u32::try_from(VALIDATORS).unwrap())
    }

    async fn init(&self, ctx: InitContext<'_, PublicKey>) -> (Handle<()>, Validator) {
        let executor = Executor::new(&self.genesis);
        let genesis_hash = self.genesis.hash().unwrap();
        let index = self
            .indexes
            .lock()
            .unwrap()
            .entry(ctx.index)
            .or_insert_with(|| {
                let path = self.directory.path().join(format!("{}.redb", ctx.index));
                Index::open(&path, genesis_hash).unwrap()
            })
            .clone();
        let initial = Databases::<deterministic::Context>::initial_sync_targets();
        let genesis_block = application::genesis_block(
            &self.genesis,
            &executor,
            self.identities[0].clone(),
            StateCommitment {
                root: block::word(&initial.root),
                start: *initial.range.start(),
                end: *initial.range.end(),
            },
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
        let mempool = Mempool::new(self.genesis.gas_limit);
        for transaction in self.waiting.iter() {
            let sender = Sender {
                nonce: 0,
                balance: U256::ZERO,
            };
            mempool.add(transaction.clone(), sender).unwrap();
        }
        let ethereum = Ethereum {
            nature: self.nature(ctx.index),
            blocks: self.blocks.clone(),
        };
        let mut channels = ctx.channels.into_iter();
        let mut next = || channels.next().unwrap();
        let running = Box::pin(consensus::start(
            ctx.context.child("validator"),
            consensus::Config {
                public_key: ctx.public_key.clone(),
                scheme: self.schemes[ctx.index].clone(),
                peers: ctx.oracle.manager(),
                blocker: ctx.oracle.control(ctx.public_key.clone()),
                prefix: format!("validator-{}", ctx.index),
                genesis: genesis_block.clone(),
                application: Application::new(Parts {
                    executor,
                    genesis: self.genesis.clone(),
                    genesis_block,
                    ethereum: ethereum.clone(),
                    mempool,
                    index: index.clone(),
                    tip,
                    fatal: mpsc::unbounded_channel().0,
                }),
                ethereum,
                leader_timeout: Duration::from_secs(3),
            },
            Channels {
                votes: next(),
                certificates: next(),
                resolver: next(),
                backfill: next(),
                broadcast: next(),
            },
        ))
        .await
        .unwrap();
        (running.engine, Validator { index, tip: tips })
    }

    fn start(engine: Handle<()>) -> Handle<()> {
        engine
    }
}

/// At the end: one chain, every issue in it once, and no header that Ethereum never had.
#[derive(Clone)]
pub struct OneChain {
    endpoints: Endpoints,
}

impl OneChain {
    /// For a net with these endpoints.
    pub const fn new(endpoints: Endpoints) -> Self {
        Self { endpoints }
    }

    fn judge(&self, states: &[&Validator]) -> Result<(), String> {
        let height = states
            .iter()
            .map(|state| state.tip.borrow().header.height)
            .min()
            .ok_or("nobody is left")?;
        let mut issued = 0u64;
        let mut checkpoints = 0u64;
        for at in 1..=height {
            let mut digests = states.iter().map(|state| {
                let block = state.index.block(at).unwrap().ok_or("a block is missing")?;
                assert_eq!(block.height().get(), at);
                Ok::<_, String>((block.header.digest(), block))
            });
            let (first, block) = digests.next().ok_or("nobody is left")??;
            for other in digests {
                if other?.0 != first {
                    return Err(format!("two final blocks at height {at}"));
                }
            }
            if let Some(checkpoint) = block.header.checkpoint {
                checkpoints += 1;
                if checkpoint != truth(checkpoint.number) {
                    return Err(format!("a lie about Ethereum is final at height {at}"));
                }
            }
            let results = states[0]
                .index
                .results(at)
                .unwrap()
                .ok_or("results are missing")?;
            issued += results
                .receipts
                .iter()
                .filter(|receipt| receipt.success)
                .count() as u64;
        }
        if issued != ISSUES {
            return Err(format!("{issued} of {ISSUES} issues are final"));
        }
        // With two dead endpoints of four no header can have three votes.
        let agree = VALIDATORS - self.endpoints.dead >= 3;
        if agree != (checkpoints > 0) {
            return Err(format!(
                "{checkpoints} checkpoints with {:?}",
                self.endpoints
            ));
        }
        Ok(())
    }
}

impl Property<PublicKey, Validator> for OneChain {
    fn name(&self) -> &str {
        "one chain"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move { self.judge(states) })
    }
}
