//! The committee of a simulated net: its keys, all from the seed, and its genesis.

use crate::{error::Failure, load::Load, scenario::Scenario};
use commonware_cryptography::{
    Signer as _,
    bls12381::{dkg::feldman_desmedt, primitives::sharing::Mode},
    ed25519,
};
use commonware_glue::stateful::db::DatabaseSet as _;
use commonware_runtime::deterministic;
use commonware_utils::{N3f1, TestRng, TryCollect as _, ordered::Set};
use mileverse_execution::Executor;
use mileverse_node::{
    application::{self, Scheme},
    block::{self, Block, PublicKey},
    state::Databases,
};
use mileverse_primitives::{
    Address, B256, Bytes, U256, certificate,
    genesis::{Committee as Members, EthereumSide, Genesis, Issuer},
    header::StateCommitment,
};

/// EIP-155 chain id of simulated nets.
pub const CHAIN_ID: u64 = 77_771;
/// Largest committee.
pub const MOST: usize = mileverse_primitives::genesis::MAX_VALIDATORS;

/// A committee with its secrets, and block 0.
pub struct Committee {
    /// Members, ascending.
    pub members: Vec<PublicKey>,
    /// Each member's signing scheme.
    pub schemes: Vec<Scheme>,
    /// The net's beginning.
    pub genesis: Genesis,
    /// Block 0.
    pub genesis_block: Block,
}

impl Committee {
    /// Deals the keys of a scenario's committee.
    pub fn deal(scenario: &Scenario, load: &Load) -> Result<Self, Failure> {
        let setup = |what: &str| Failure::Setup(what.to_owned());
        if !(1..=MOST).contains(&scenario.validators) {
            return Err(Failure::Setup(format!(
                "a committee has 1 to {MOST} validators, not {}",
                scenario.validators
            )));
        }
        let mut rng = TestRng::new(scenario.seed);
        let mut members: Vec<PublicKey> = (0u64..)
            .take(scenario.validators)
            .map(|number| {
                let seed = scenario.seed.wrapping_mul(1000).wrapping_add(number);
                ed25519::PrivateKey::from_seed(seed).public_key()
            })
            .collect();
        members.sort();
        let names: Set<PublicKey> = members
            .iter()
            .cloned()
            .try_collect()
            .map_err(|_| setup("two members have one key"))?;
        let (output, shares) =
            feldman_desmedt::deal::<_, _, N3f1>(&mut rng, Mode::NonZeroCounter, names.clone())
                .map_err(|error| Failure::Setup(format!("the dealing: {error:?}")))?;
        let namespace = certificate::namespace(CHAIN_ID);
        let schemes = members
            .iter()
            .map(|member| {
                let share = shares.get_value(member)?.clone();
                Scheme::signer(&namespace, names.clone(), output.public().clone(), share)
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| setup("a member has no share"))?;
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: 0,
            gas_limit: 30_000_000,
            block_time_ms: scenario.pace.block_time_ms,
            idle_block_time_ms: scenario.pace.idle_block_time_ms,
            committee: Members {
                validators: members.iter().map(|key| B256::from_slice(key)).collect(),
                sharing: Bytes::new(),
            },
            issuers: vec![Issuer {
                address: load.issuer(),
                daily_quota: U256::from(u64::MAX),
            }],
            ethereum: EthereumSide {
                chain_id: 1,
                bridge: Address::repeat_byte(1),
                coin: Address::repeat_byte(2),
                points: Address::repeat_byte(3),
            },
        };
        let first = members
            .first()
            .cloned()
            .ok_or_else(|| setup("nobody is in it"))?;
        let initial = Databases::<deterministic::Context>::initial_sync_targets();
        let genesis_block = application::genesis_block(
            &genesis,
            &Executor::new(&genesis),
            first,
            StateCommitment {
                root: block::word(&initial.root),
                start: *initial.range.start(),
                end: *initial.range.end(),
            },
        )
        .map_err(|error| Failure::Setup(error.to_string()))?;
        Ok(Self {
            members,
            schemes,
            genesis,
            genesis_block,
        })
    }
}
