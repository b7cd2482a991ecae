//! The nodes of a simulated net: their keys, all from the seed, and their genesis.

use crate::{
    error::Failure,
    load::{Load, sign},
    quarter::QuarterEnd,
    rota::Rota,
    scenario::Scenario,
};
use alloy::{signers::local::PrivateKeySigner, sol_types::SolCall as _};
use commonware_codec::Encode as _;
use commonware_cryptography::{
    Signer as _,
    bls12381::{dkg::feldman_desmedt, primitives::sharing::Mode},
    ed25519,
};
use commonware_p2p::Address as Location;
use commonware_runtime::deterministic;
use commonware_utils::{N3f1, TestRng, TryCollect as _, ordered::Set};
use mileverse_consensus::{
    application,
    block::{Block, Output, PublicKey},
    committee::First,
    engine::{memory::MemorySecrets, participants::Elected},
    state,
};
use mileverse_execution::{Executor, Transaction};
use mileverse_primitives::{
    Address, B256, U256,
    abi::IStaking,
    address::STAKING,
    bridge::BridgeRules,
    fees::FeeRules,
    genesis::{self, EthereumSide, Genesis, Issuer, MAX_VALIDATORS, Seat},
    keccak256,
    points::PointsRules,
    rewards::RewardRules,
    staking::{Allocation, StakingRules, coins},
    vote::possession_namespace,
};
use std::net::{Ipv4Addr, SocketAddr};

/// EIP-155 chain id of simulated nets.
pub const CHAIN_ID: u64 = 77_771;
/// Most nodes of a net.
const MOST_NODES: usize = 200;
/// What a member stakes, whole coins.
const STAKE: u64 = 10_000;
const FIRST_PORT: u16 = 9000;

/// The secrets of one engine.
pub struct Secrets {
    /// Of resharing.
    pub resharing: MemorySecrets,
    /// Of rotations.
    pub rotation: MemorySecrets,
}

/// All nodes with their secrets, and block 0.
pub struct Committee {
    /// Every node, ascending by key within the first committee and within the newcomers.
    pub identities: Vec<ed25519::PrivateKey>,
    /// Each node's secrets; a second set for the second engine of an equivocator.
    pub secrets: Vec<[Secrets; 2]>,
    /// Who sits when.
    pub rota: Rota,
    /// What newcomers send to become candidates, with their balances.
    pub registrations: Vec<(Transaction, U256)>,
    /// The net's beginning.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// The first committee.
    pub first: First,
    /// Block 0.
    pub genesis_block: Block,
}

fn setup(what: impl ToString) -> Failure {
    Failure::Setup(what.to_string())
}

/// Where a node would listen, if the net were real.
pub fn location(node: usize) -> SocketAddr {
    let port = u16::try_from(node).unwrap_or_default();
    SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT.saturating_add(port)))
}

fn owner(node: usize) -> Result<PrivateKeySigner, Failure> {
    PrivateKeySigner::from_bytes(&keccak256(format!("simulated owner {node}"))).map_err(setup)
}

impl Committee {
    /// Deals the keys of a scenario's first committee and writes its genesis.
    pub fn deal(scenario: &Scenario, load: &Load) -> Result<Self, Failure> {
        let seats = scenario.validators;
        if !(4..=MAX_VALIDATORS).contains(&seats) || scenario.nodes() > MOST_NODES {
            return Err(Failure::Setup(format!(
                "a committee has 4 to {MAX_VALIDATORS} validators, not {seats}, and a net at most {MOST_NODES} nodes"
            )));
        }
        let mut rng = TestRng::new(scenario.seed);
        let mut identities: Vec<ed25519::PrivateKey> = (0u64..)
            .take(scenario.nodes())
            .map(|number| {
                let seed = scenario.seed.wrapping_mul(1000).wrapping_add(number);
                ed25519::PrivateKey::from_seed(seed)
            })
            .collect();
        identities.sort_by_key(|identity| identity.public_key());
        let words: Vec<B256> = identities
            .iter()
            .map(|identity| B256::from_slice(&identity.public_key()))
            .collect();
        let members: Set<PublicKey> = identities
            .iter()
            .take(seats)
            .map(|identity| identity.public_key())
            .try_collect()
            .map_err(|_| setup("two members have one key"))?;
        let (output, shares): (Output, _) =
            feldman_desmedt::deal::<_, _, N3f1>(&mut rng, Mode::NonZeroCounter, members)
                .map_err(|error| setup(format!("the dealing: {error:?}")))?;
        let secrets = identities
            .iter()
            .map(|identity| {
                let share = shares.get_value(&identity.public_key()).cloned();
                [(); 2].map(|()| Secrets {
                    resharing: MemorySecrets::new(share.clone()),
                    rotation: MemorySecrets::default(),
                })
            })
            .collect();
        let owners = (0..scenario.nodes())
            .map(owner)
            .collect::<Result<Vec<_>, _>>()?;
        let seats_of = owners
            .iter()
            .take(seats)
            .enumerate()
            .map(|(node, owner)| Seat {
                owner: owner.address(),
                address: location(node),
                stake: coins(STAKE),
                commission_bp: 500,
            });
        let holders = scenario
            .quarter
            .into_iter()
            .flat_map(QuarterEnd::holdings)
            .map(|(address, amount)| Allocation { address, amount });
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: u64::try_from(scenario.begins().as_millis()).map_err(setup)?,
            gas_limit: 30_000_000,
            block_time_ms: scenario.pace.block_time_ms,
            idle_block_time_ms: scenario.pace.idle_block_time_ms,
            epoch_blocks: scenario.epoch_blocks,
            committee: genesis::Committee::seated(
                words.iter().take(seats).copied(),
                output.encode().to_vec().into(),
                seats_of,
            ),
            points: PointsRules::default(),
            fees: FeeRules::default(),
            issuers: vec![Issuer {
                address: load.issuer(),
                daily_quota: U256::from(u64::MAX),
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
            rewards: scenario
                .quarter
                .map_or_else(RewardRules::default, QuarterEnd::rules),
            contracts: Vec::new(),
            peers: Vec::new(),
            allocations: owners
                .iter()
                .skip(seats)
                .map(|owner| Allocation {
                    address: owner.address(),
                    amount: coins(STAKE).saturating_add(coins(STAKE)),
                })
                .chain(holders)
                .collect(),
        };
        genesis.check().map_err(setup)?;
        let registrations = identities
            .iter()
            .zip(&owners)
            .enumerate()
            .skip(seats)
            .map(|(node, (identity, owner))| register(node, identity, owner))
            .collect::<Result<_, _>>()?;
        let nodes = words.iter().enumerate().map(|(node, word)| Elected {
            consensus_key: *word,
            address: location(node),
        });
        let rota = Rota {
            nodes: nodes.collect(),
            seats,
            stride: scenario.stride,
            executor: Executor::new(&genesis),
        };
        let first = First::read(&genesis.committee).map_err(setup)?;
        let genesis_block = application::genesis_block(
            &genesis,
            &Executor::new(&genesis),
            &first,
            state::initial::<deterministic::Context>(),
        )
        .map_err(setup)?;
        Ok(Self {
            identities,
            secrets,
            rota,
            registrations,
            genesis_hash: genesis.hash().map_err(setup)?,
            genesis,
            first,
            genesis_block,
        })
    }

    /// Every other node, so that nobody is cut off who is not in the committee.
    pub fn guests(&self, node: usize) -> Vec<(PublicKey, Location)> {
        self.identities
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != node)
            .map(|(other, identity)| (identity.public_key(), location(other).into()))
            .collect()
    }

    /// Every node's key.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.identities
            .iter()
            .map(|identity| identity.public_key())
            .collect()
    }
}

/// What makes a newcomer a candidate.
fn register(
    node: usize,
    identity: &ed25519::PrivateKey,
    owner: &PrivateKeySigner,
) -> Result<(Transaction, U256), Failure> {
    let possession = identity.sign(&possession_namespace(CHAIN_ID), owner.address().as_slice());
    let call = IStaking::registerCall {
        consensusKey: B256::from_slice(&identity.public_key()),
        possession: possession.encode().to_vec().into(),
        networkAddress: location(node).to_string(),
        commissionBp: 500,
        profile: IStaking::Profile {
            name: format!("node {node}"),
            website: String::new(),
        },
    };
    let transaction = sign(owner, CHAIN_ID, STAKING, 0, coins(STAKE), call.abi_encode())?;
    Ok((transaction, coins(STAKE).saturating_add(coins(STAKE))))
}
