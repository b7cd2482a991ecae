//! Solidity ABIs of the system modules: the one declaration from which the modules, the wallet,
//! the relayer and the gateway take their encodings. `docs/protocol.md` explains the bridge.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

mod rotation;
mod staking;
mod valves;
pub use rotation::IRotation;
pub use staking::IStaking;
pub use valves::IValves;

alloy::sol! {
    /// MVP: ERC-20 with 6 decimals, made only by issuers, one issue per conversion id.
    #[derive(Debug, PartialEq, Eq)]
    interface IPoints {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
        event Issued(bytes32 indexed conversionId, address indexed to, uint256 amount);

        function name() external view returns (string memory);
        function symbol() external view returns (string memory);
        function decimals() external view returns (uint8);
        function totalSupply() external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
        function approve(address spender, uint256 amount) external returns (bool);
        function transferFrom(address from, address to, uint256 amount) external returns (bool);

        /// Makes points, once per conversion id, by an issuer within its daily quota.
        function issue(address to, uint256 amount, bytes32 conversionId) external;
        /// What was issued for a conversion id; zero if nothing was.
        function issued(bytes32 conversionId) external view returns (uint256 amount);
        /// All that was ever issued.
        function totalIssued() external view returns (uint256);
        /// What `issuer` may still issue in the current UTC day of block time.
        function quotaLeft(address issuer) external view returns (uint256);
    }

    /// MVC, the native coin, seen as an ERC-20 with 18 decimals.
    #[derive(Debug, PartialEq, Eq)]
    interface ICoin {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);

        function name() external view returns (string memory);
        function symbol() external view returns (string memory);
        function decimals() external view returns (uint8);
        function totalSupply() external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
        function approve(address spender, uint256 amount) external returns (bool);
        function transferFrom(address from, address to, uint256 amount) external returns (bool);
    }

    /// The native side of the bridge.
    #[derive(Debug, PartialEq, Eq)]
    interface IBridge {
        event PacketSent(uint64 indexed sequence, bytes32 indexed commitment, bytes packet);
        event PacketReceived(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketExpired(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketRefunded(uint64 indexed sequence, bytes32 indexed commitment);

        struct Totals { uint256 sent; uint256 received; uint256 refunded; }
        struct StorageItem { bytes packet; bytes[] storageProof; }

        function send(address token, address receiver, uint256 amount, uint64 deadline) external payable returns (uint64 sequence);
        function deliver(uint64 ethereumBlock, bytes[] calldata accountProof, StorageItem[] calldata items) external;

        function chainId() external view returns (uint64);
        function peerChainId() external view returns (uint64);
        function nextSequence() external view returns (uint64);
        function outbound(uint64 sequence) external view returns (bytes32);
        function receipt(uint64 sequence) external view returns (uint8);
        function totals(address token) external view returns (Totals memory);
        function latestCheckpoint() external view returns (uint64 number);
        function checkpoint(uint64 number) external view returns (bytes32 stateRoot, uint64 timestamp);
        function outboxSize() external view returns (uint64);
        /// Number of the newest group key announced to Ethereum; 0 is the genesis key's.
        function keyVersion() external view returns (uint64);
        /// Held (at home) or made (away) of `token`, from the totals.
        function backing(address token) external view returns (uint256 amount);
        /// Whether `backing` equals the bridge's real balance (at home) or the real supply (away).
        function solvent(address token) external view returns (bool);
    }

    /// How a module refuses.
    #[derive(Debug, PartialEq, Eq)]
    interface IModuleErrors {
        /// A sentence, as `require(condition, "…")` gives.
        error Error(string message);
    }
}
