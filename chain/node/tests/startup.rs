//! What keeps a node from starting: each fault gives one sentence and moves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::Parser;
use mileverse_consensus::index::Index;
use mileverse_node::{
    Command, dealer, run,
    secrets::{self, Cost, Passphrase, Secrets, ValidatorKeys},
};
use mileverse_primitives::{
    Address, B256,
    bridge::BridgeRules,
    fees::FeeRules,
    genesis::{EthereumSide, Genesis, Seat},
    points::PointsRules,
    rewards::RewardRules,
    staking::{StakingRules, coins},
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    command: Command,
}

/// A validator's directory that a node would start from, for a committee of four.
struct Setup {
    directory: tempfile::TempDir,
    genesis: Genesis,
    passphrase: Passphrase,
}

impl Setup {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dealing = dealer::deal(4).unwrap();
        let passphrase = Passphrase::random_file(&directory.path().join("passphrase")).unwrap();
        dealing.keys[0]
            .write(
                &directory.path().join("keys.json"),
                &passphrase,
                Cost::LIGHT,
            )
            .unwrap();
        let seats = (1..=4).map(|number| Seat {
            owner: Address::repeat_byte(number),
            address: SocketAddr::from(([127, 0, 0, 1], u16::from(number))),
            stake: coins(10_000),
            commission_bp: 500,
        });
        let genesis = Genesis {
            chain_id: 77_771,
            timestamp_ms: 1,
            gas_limit: 30_000_000,
            block_time_ms: 200,
            idle_block_time_ms: 1000,
            epoch_blocks: 16,
            committee: dealing.committee(seats),
            points: PointsRules::default(),
            fees: FeeRules::default(),
            issuers: Vec::new(),
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
            allocations: Vec::new(),
        };
        let setup = Self {
            directory,
            genesis,
            passphrase,
        };
        setup.write_genesis();
        setup.write_config(&setup.config());
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn replace_keys(&self, keys: &ValidatorKeys) {
        let path = self.path("keys.json");
        fs::remove_file(&path).unwrap();
        keys.write(&path, &self.passphrase, Cost::LIGHT).unwrap();
    }

    fn write_genesis(&self) {
        fs::write(
            self.path("genesis.json"),
            serde_json::to_string(&self.genesis).unwrap(),
        )
        .unwrap();
    }

    fn config(&self) -> String {
        "genesis = 'genesis.json'\ndata_dir = 'data'\nkeys = 'keys.json'\n\
         passphrase_file = 'passphrase'\n\
         listen = '127.0.0.1:0'\nrpc = '127.0.0.1:0'\nethereum_rpc = 'http://127.0.0.1:1'\n"
            .to_owned()
    }

    fn write_config(&self, text: &str) {
        fs::write(self.path("node.toml"), text).unwrap();
    }

    /// The sentence with which the node refuses to start.
    fn refusal(&self) -> String {
        let config = self.path("node.toml");
        let cli = Cli::parse_from(["node", "run", "--config", config.to_str().unwrap()]);
        let sentence = run(cli.command).unwrap_err().to_string();
        assert!(!sentence.contains('\n'), "{sentence}");
        sentence
    }
}

fn contains(sentence: &str, part: &str) {
    assert!(
        sentence.contains(part),
        "{sentence:?} should mention {part:?}"
    );
}

#[test]
fn a_configuration_that_is_missing_or_misspelt() {
    let setup = Setup::new();
    setup.write_config(&(setup.config() + "unknown = 1\n"));
    contains(&setup.refusal(), "not a valid node configuration");
    fs::remove_file(setup.path("node.toml")).unwrap();
    contains(&setup.refusal(), "node.toml");
}

#[test]
fn a_genesis_file_that_breaks_a_rule() {
    let mut setup = Setup::new();
    setup.genesis.committee.members.reverse();
    setup.write_genesis();
    contains(&setup.refusal(), "ascending order");
    setup.genesis.committee.members.truncate(3);
    setup.write_genesis();
    contains(&setup.refusal(), "not 3");
    fs::write(setup.path("genesis.json"), "{").unwrap();
    contains(&setup.refusal(), "genesis file is not valid");
}

/// No point of ed25519's curve has this encoding; it stands above all others.
fn no_point() -> B256 {
    let mut bytes = [0xff; 32];
    bytes[31] = 0;
    B256::new(bytes)
}

#[test]
fn a_committee_that_no_dealing_made() {
    let mut setup = Setup::new();
    // Not a point of the curve.
    setup.genesis.committee.members[3].consensus_key = no_point();
    setup.write_genesis();
    contains(&setup.refusal(), "is not an ed25519 public key");

    let mut setup = Setup::new();
    setup.genesis.committee.output = dealer::deal(4).unwrap().output;
    setup.write_genesis();
    contains(&setup.refusal(), "dealt to other keys");
    setup.genesis.committee.output = B256::repeat_byte(1).to_vec().into();
    setup.write_genesis();
    contains(&setup.refusal(), "not the outcome of a dealing");
}

#[test]
fn keys_of_somebody_else() {
    let stranger = dealer::deal(4).unwrap();

    // The right name with a stranger's share.
    let setup = Setup::new();
    let path = setup.path("keys.json");
    let (mut keys, _) = ValidatorKeys::read(&path, &setup.passphrase).unwrap();
    keys.share.clone_from(&stranger.keys[0].share);
    setup.replace_keys(&keys);
    contains(&setup.refusal(), "another committee");

    // A share in the file of somebody who is not in the committee.
    let setup = Setup::new();
    setup.replace_keys(&stranger.keys[0]);
    contains(&setup.refusal(), "another committee");

    fs::write(setup.path("keys.json"), "{\"identity\":\"0x01\"}").unwrap();
    contains(&setup.refusal(), "is not a mileverse/keys file");
}

#[test]
fn passphrases_that_do_not_fit() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::new();
    fs::write(setup.path("passphrase"), "another\n").unwrap();
    contains(&setup.refusal(), "the passphrase does not open");
    fs::write(setup.path("passphrase"), "\n").unwrap();
    contains(&setup.refusal(), "1 to 1024 bytes");
    let everybody = fs::Permissions::from_mode(0o644);
    fs::set_permissions(setup.path("passphrase"), everybody).unwrap();
    contains(&setup.refusal(), "chmod 600");
    fs::remove_file(setup.path("passphrase")).unwrap();
    contains(&setup.refusal(), "passphrase cannot be read");
}

#[test]
fn secrets_of_another_node() {
    let setup = Setup::new();
    // A stranger's store, as if a data directory had been copied.
    let stranger = ValidatorKeys::random();
    fs::create_dir(setup.path("data")).unwrap();
    let (fatal, _failures) = tokio::sync::mpsc::unbounded_channel();
    let store = secrets::Setup {
        path: setup.path("data/secrets.json"),
        identity: stranger.consensus_key(),
        chain: setup.genesis.hash().unwrap(),
        dealt: None,
        cost: Cost::LIGHT,
    };
    drop(Secrets::open(store, &setup.passphrase, fatal).unwrap());
    contains(&setup.refusal(), &stranger.consensus_key().to_string());
}

#[test]
fn key_files_are_private_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::new();
    let path = setup.path("keys.json");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (keys, _) = ValidatorKeys::read(&path, &setup.passphrase).unwrap();
    assert!(keys.write(&path, &setup.passphrase, Cost::LIGHT).is_err());
}

#[test]
fn a_peer_that_is_no_key() {
    let setup = Setup::new();
    let wrong = no_point();
    setup.write_config(
        &(setup.config()
            + &format!("[[peers]]\npublic_key = '{wrong}'\naddress = '127.0.0.1:1'\n")),
    );
    contains(&setup.refusal(), &wrong.to_string());
}

#[test]
fn a_data_directory_of_another_network() {
    let setup = Setup::new();
    fs::create_dir(setup.path("data")).unwrap();
    drop(Index::open(&setup.path("data/index.redb"), B256::repeat_byte(9)).unwrap());
    contains(
        &setup.refusal(),
        "belongs to the network with genesis 0x0909",
    );
}

#[test]
fn a_port_that_is_taken() {
    let setup = Setup::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    setup.write_config(
        &setup
            .config()
            .replace("listen = '127.0.0.1:0'", &format!("listen = '{address}'")),
    );
    let sentence = setup.refusal();
    contains(&sentence, &address);
    contains(&sentence, "choose another");
}

#[test]
fn an_ethereum_endpoint_that_is_no_url() {
    let setup = Setup::new();
    setup.write_config(&setup.config().replace("http://127.0.0.1:1'", "nonsense'"));
    contains(&setup.refusal(), "is not a URL");
}
