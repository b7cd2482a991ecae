//! Solidity ABIs of the system modules: the one declaration from which the modules, the wallet,
//! the relayer and the gateway take their encodings. `docs/protocol.md` explains the bridge.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

mod fees;
mod points;
mod rewards;
mod rotation;
mod staking;
mod valves;
pub use fees::IFees;
pub use points::IPoints;
pub use rewards::IRewards;
pub use rotation::IRotation;
pub use staking::IStaking;
pub use valves::{IPeers, IValves};

alloy::sol! {
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

        /// EIP-2612, and the same with the signature as 65 bytes `r ‖ s ‖ v`.
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
        function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        /// EIP-5267.
        function eip712Domain() external view returns (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] memory extensions);
        function PERMIT_TYPEHASH() external view returns (bytes32);
    }

    /// The native side of the bridge.
    #[derive(Debug, PartialEq, Eq)]
    interface IBridge {
        event PacketSent(uint64 indexed sequence, bytes32 indexed commitment, bytes packet);
        event PacketReceived(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketExpired(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketRefunded(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketAcknowledged(uint64 indexed sequence, bytes32 indexed commitment);

        struct Totals { uint256 sent; uint256 received; uint256 refunded; }
        struct StorageItem { bytes packet; bytes[] storageProof; }
        /// A packet with an action whose tokens are with the router, which has to settle it.
        struct Opened { uint64 sequence; address token; uint256 amount; address receiver; uint256 least; }

        /// A packet with an action takes effect through the router only.
        error RouterNeeded(uint64 sequence);

        function send(address token, address receiver, uint256 amount, uint64 deadline) external payable returns (uint64 sequence);
        /// As `send`; `outbound(sequence)` is 2 once the transfer was received over there.
        function sendAcknowledged(address token, address receiver, uint256 amount, uint64 deadline) external payable returns (uint64 sequence);
        /// As `send`, and `sender` is who is refunded.
        function sendFor(address token, address receiver, uint256 amount, uint64 deadline, address sender) external payable returns (uint64 sequence);
        function deliver(uint64 ethereumBlock, bytes[] calldata accountProof, StorageItem[] calldata items) external;
        /// Router: a packet that is open is received (`done`), or its tokens are taken back and it expires.
        function settle(uint64 sequence, bool done) external;
        /// Packets that are open now, in the order in which they were opened.
        function opened() external view returns (Opened[] memory);

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
