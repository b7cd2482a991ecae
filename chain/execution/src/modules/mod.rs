//! System modules: native code behind fixed addresses, called like contracts.
//!
//! A module keeps its state in its own account's storage, at the slots that the same Solidity
//! contract would use, so `eth_getStorageAt` reads it. One folder each: interface and storage
//! layout at the top of `mod.rs`, logic beside it.
//!
//! Every module
//! - answers only to its own address: DELEGATECALL and CALLCODE are refused, and so is value
//!   where a function is not payable, and any change in a static call;
//! - takes calldata in its one canonical ABI encoding, up to a stated length;
//! - charges gas before it works (`host` has the schedule) and gives none back;
//! - refuses with `Error(string)`, or with an error of its ABI where machines act on it, and then
//!   leaves nothing behind: the EVM reverts its call frame.

pub(crate) mod bridge;
pub(crate) mod coin;
mod erc20;
pub(crate) mod fees;
pub(crate) mod host;
pub(crate) mod ledger;
pub(crate) mod peers;
mod permit;
pub(crate) mod points;
pub(crate) mod rewards;
pub(crate) mod rotation;
pub(crate) mod slot;
pub(crate) mod staking;
mod typed_data;

use crate::{
    session::SPEC,
    state::{Account, Changes, account_key, code_key, encode_word, storage_key},
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{Revert, SolError, SolInterface, abi::AbiDecoderConfig},
};
use alloy_evm::precompiles::{DynPrecompile, PrecompileInput, PrecompilesMap};
use host::{Fault, Host, Place, Words};
use mileverse_primitives::{
    address::{
        ALL, BRIDGE, COIN, FEES, PEERS, POINTS, REWARDS, ROTATION, STAKING, is_native_code,
        peer_of_points, peer_points,
    },
    bridge::BridgeRules,
    contracts::Contract,
    exchange::{POOL, ROUTER},
    fees::FeeRules,
    genesis::{EthereumSide, Genesis, Issuer, Member},
    peers::Peer,
    rewards::RewardRules,
    staking::{Allocation, StakingRules},
};
use revm::{
    precompile::{
        PrecompileError, PrecompileHalt, PrecompileId, PrecompileOutput, PrecompileResult,
    },
    primitives::hardfork::SpecId,
};
use std::sync::Arc;

/// Code of a module's account: an invalid instruction, so that Solidity sees a contract there.
const MODULE_CODE: [u8; 1] = [0xef];

/// Most memory that decoding one call's arrays may take: some words for each word given.
const MAX_DECODED_LENGTH: usize = 16 * 1024 * 1024;

/// What the modules take from the genesis file.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) chain_id: u64,
    /// Gas of one block.
    pub(crate) gas_limit: u64,
    pub(crate) ethereum: EthereumSide,
    pub(crate) bridge: BridgeRules,
    pub(crate) peers: Vec<Peer>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) points: points::Rules,
    pub(crate) fees: FeeRules,
    /// All coin of block 0.
    pub(crate) coins: U256,
    pub(crate) allocations: Vec<Allocation>,
    /// What stands in block 0 beside the modules.
    pub(crate) contracts: Vec<Contract>,
    /// Whether the pool and the router are among them.
    pub(crate) has_exchange: bool,
    pub(crate) epoch_blocks: u64,
    pub(crate) members: Vec<Member>,
    pub(crate) staking: StakingRules,
    pub(crate) rewards: RewardRules,
    /// Time of block 0, milliseconds since 1970.
    pub(crate) started_ms: u64,
    pub(crate) genesis_hash: B256,
    /// Whether every transaction is run by the EVM.
    pub(crate) interpreted: bool,
    /// Ethereum's rules that transactions follow: `SPEC`, but for comparing with other forks.
    pub(crate) spec: SpecId,
}

impl Config {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self {
            chain_id: genesis.chain_id,
            gas_limit: genesis.gas_limit,
            ethereum: genesis.ethereum,
            bridge: genesis.bridge,
            peers: genesis.peers.clone(),
            issuers: genesis.issuers.clone(),
            points: points::Rules::new(&genesis.points),
            fees: genesis.fees,
            // A genesis file that was checked has a sum and a hash; from one that was not, no
            // block 0 can be made.
            coins: genesis.coins().unwrap_or_default(),
            allocations: genesis.allocations.clone(),
            contracts: genesis.contracts.clone(),
            has_exchange: [POOL, ROUTER].iter().all(|wanted| {
                let mut placed = genesis.contracts.iter();
                placed.any(|contract| contract.address == *wanted)
            }),
            epoch_blocks: genesis.epoch_blocks,
            members: genesis.committee.members.clone(),
            staking: genesis.staking,
            rewards: genesis.rewards.clone(),
            started_ms: genesis.timestamp_ms,
            genesis_hash: genesis.hash().unwrap_or_default(),
            interpreted: false,
            spec: SPEC,
        }
    }
}

/// One module's entry point.
struct Module {
    address: Address,
    name: &'static str,
    /// Longest calldata it reads.
    max_input: usize,
    call: fn(&mut Host<'_>, &[u8]) -> Result<Vec<u8>, Fault>,
}

const POINTS_MODULE: Module = Module {
    address: POINTS,
    name: "points",
    max_input: points::MAX_INPUT,
    call: points::call,
};

const PEER_POINTS_MODULE: Module = Module {
    // Each peer's points have an address of their own.
    address: Address::ZERO,
    name: "peer points",
    max_input: peers::face::MAX_INPUT,
    call: peers::face::call,
};

const MODULES: [Module; 8] = [
    POINTS_MODULE,
    Module {
        address: COIN,
        name: "coin",
        max_input: coin::MAX_INPUT,
        call: coin::call,
    },
    Module {
        address: BRIDGE,
        name: "bridge",
        max_input: bridge::MAX_INPUT,
        call: bridge::call,
    },
    Module {
        address: STAKING,
        name: "staking",
        max_input: staking::MAX_INPUT,
        call: staking::call,
    },
    Module {
        address: ROTATION,
        name: "rotation",
        max_input: rotation::MAX_INPUT,
        call: rotation::call,
    },
    Module {
        address: REWARDS,
        name: "rewards",
        max_input: rewards::MAX_INPUT,
        call: rewards::call,
    },
    Module {
        address: FEES,
        name: "fees",
        max_input: fees::MAX_INPUT,
        call: fees::call,
    },
    Module {
        address: PEERS,
        name: "peers",
        max_input: peers::MAX_INPUT,
        call: peers::call,
    },
];

/// Puts the modules at their addresses.
pub(crate) fn install(precompiles: &mut PrecompilesMap, config: &Arc<Config>) {
    for module in MODULES {
        let config = config.clone();
        let address = module.address;
        let precompile = DynPrecompile::new_stateful(
            PrecompileId::custom(module.name),
            move |input: PrecompileInput<'_>| run(&module, &config, input),
        );
        precompiles.apply_precompile(&address, |_| Some(precompile));
    }
    let config = config.clone();
    precompiles.set_precompile_lookup(move |address: &Address| {
        peer_of_points(*address)?;
        let config = config.clone();
        Some(DynPrecompile::new_stateful(
            PrecompileId::custom(PEER_POINTS_MODULE.name),
            move |input: PrecompileInput<'_>| run(&PEER_POINTS_MODULE, &config, input),
        ))
    });
}

/// Slots that a call from `caller` is sure to touch, to be read ahead.
pub(crate) fn expected_slots(
    config: &Config,
    to: Address,
    caller: Address,
    data: &[u8],
) -> Vec<(Address, U256)> {
    match to {
        POINTS => points::expected_slots(config, caller, data),
        BRIDGE => bridge::expected_slots(caller),
        PEERS => peers::expected_slots(caller, data),
        // It calls the bridge.
        ROUTER if config.has_exchange => bridge::expected_slots(ROUTER),
        STAKING => rewards::expected_slots(caller),
        _ => Vec::new(),
    }
}

/// Accounts, code and storage of block 0: the modules', the allocations', the placed contracts'.
pub(crate) fn genesis_changes(config: &Config) -> Changes {
    let code_hash = keccak256(MODULE_CODE);
    let account = Account {
        nonce: 1,
        balance: U256::ZERO,
        code_hash,
    };
    let mut changes = Changes::new();
    changes.insert(code_key(code_hash), Some(MODULE_CODE.to_vec()));
    let allocated = config
        .allocations
        .iter()
        .fold(U256::ZERO, |sum, one| sum.saturating_add(one.amount));
    // A chain without peers gets these accounts with its first one.
    let with_peers = config.peers.iter().map(|peer| peer_points(peer.chain_id));
    let modules = ALL
        .into_iter()
        .filter(|address| *address != PEERS || !config.peers.is_empty());
    for address in modules.chain(with_peers) {
        let balance = match address {
            // The members' stakes and the pool of staking.
            STAKING => config
                .coins
                .saturating_sub(allocated)
                .saturating_sub(config.rewards.pool),
            REWARDS => config.rewards.pool,
            _ => U256::ZERO,
        };
        let account = Account { balance, ..account };
        changes.insert(account_key(address), Some(account.encode()));
    }
    for allocation in &config.allocations {
        let account = Account {
            balance: allocation.amount,
            ..Account::default()
        };
        changes.insert(account_key(allocation.address), Some(account.encode()));
    }
    // From a genesis file that was checked, these can be made. Without them no block has an outcome.
    let staking = staking::genesis::storage(config).unwrap_or_default();
    let rewards = rewards::genesis::storage(config, &staking).unwrap_or_default();
    let storage = points::genesis_storage(config)
        .into_iter()
        .chain(coin::genesis_storage(config))
        .chain(bridge::genesis_storage(config))
        .chain(fees::genesis_storage(config))
        .chain(peers::genesis_storage(config))
        .chain(staking)
        // The members have numbers by now; what this says of them comes last.
        .chain(rewards);
    for (slot, word) in storage {
        if let Some(value) = encode_word(word) {
            changes.insert(storage_key(slot.module(), slot.key()), Some(value));
        }
    }
    for contract in &config.contracts {
        let code_hash = keccak256(&contract.code);
        let account = Account {
            nonce: 1,
            balance: U256::ZERO,
            code_hash,
        };
        changes.insert(account_key(contract.address), Some(account.encode()));
        changes.insert(code_key(code_hash), Some(contract.code.to_vec()));
        for (slot, word) in &contract.storage {
            let key = storage_key(contract.address, U256::from_be_bytes(slot.0));
            changes.insert(key, encode_word(U256::from_be_bytes(word.0)));
        }
    }
    changes
}

fn run(module: &Module, config: &Config, input: PrecompileInput<'_>) -> PrecompileResult {
    let (data, gas, reservoir) = (input.data, input.gas, input.reservoir);
    let direct = input.is_direct_call();
    let mut host = Host::new(config, input);
    let result = enter(module, &mut host, data, direct);
    let used = gas.saturating_sub(host.gas_left());
    match result {
        Ok(output) => Ok(PrecompileOutput::new(used, output.into(), reservoir)),
        Err(Fault::Revert(reason)) => {
            let output: Bytes = Revert::from(reason).abi_encode().into();
            Ok(PrecompileOutput::revert(used, output, reservoir))
        }
        Err(Fault::Typed(output)) => Ok(PrecompileOutput::revert(used, output.into(), reservoir)),
        Err(Fault::OutOfGas) => Ok(PrecompileOutput::halt(PrecompileHalt::OutOfGas, reservoir)),
        Err(Fault::Fatal(reason)) => Err(PrecompileError::Fatal(reason)),
    }
}

/// Runs a call to the points module outside of the EVM; answers the gas that it used, too.
pub(crate) fn run_points(
    config: &Config,
    words: &mut dyn Words,
    place: Place,
    data: &[u8],
) -> (Result<Vec<u8>, Fault>, u64) {
    let mut host = Host::direct(config, words, place);
    let result = enter(&POINTS_MODULE, &mut host, data, true);
    (result, place.gas.saturating_sub(host.gas_left()))
}

fn enter(
    module: &Module,
    host: &mut Host<'_>,
    data: &[u8],
    direct: bool,
) -> Result<Vec<u8>, Fault> {
    host.charge(host::CALL_GAS)?;
    if !direct {
        return Err(Fault::revert(
            "a system module can only be called, not delegated to",
        ));
    }
    if data.len() > module.max_input {
        return Err(Fault::revert(format!(
            "calldata is longer than the {} bytes that this module reads",
            module.max_input
        )));
    }
    host.charge_words(host::INPUT_WORD_GAS, data.len())?;
    (module.call)(host, data)
}

/// Reads a call from calldata that is exactly its canonical encoding. Parts that overlap are
/// refused while decoding, so what is decoded is never larger than what was given.
fn decode<C: SolInterface>(data: &[u8]) -> Result<C, Fault> {
    let refuse = || Fault::revert("calldata is not a call that this module knows");
    let strict = AbiDecoderConfig::new()
        .strict(true)
        .memory_limit(MAX_DECODED_LENGTH);
    let call = C::abi_decode_with_config(data, strict).map_err(|_| refuse())?;
    if call.abi_encode() == data {
        Ok(call)
    } else {
        Err(refuse())
    }
}

/// Whether an address is nobody's: tokens sent there could never move again.
pub(crate) fn is_nobody(address: Address) -> bool {
    address.is_zero() || is_native_code(address)
}
