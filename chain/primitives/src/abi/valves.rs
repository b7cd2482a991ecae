//! What can be stopped at the native side of the bridge, and how much may cross. The same words as
//! `contracts/src/interfaces/IValves.sol`, and the delay that AccessManager is on Ethereum.
//!
//! `IPeers` stands here, too: each peer has the same valves, in the same words.

alloy::sol! {
    /// Limits, pauses and large transfers that wait. At the bridge's address.
    #[derive(Debug, PartialEq, Eq)]
    interface IValves {
        enum Direction { Send, Receive }
        struct Limits {
            uint96 sendPerHour;
            uint96 sendPerDay;
            uint96 receivePerHour;
            uint96 receivePerDay;
            uint96 largeFrom;
            uint32 holdSeconds;
        }
        struct Room {
            uint256 sendInHour;
            uint256 sendInDay;
            uint256 receiveInHour;
            uint256 receiveInDay;
        }

        event PacketHeld(uint64 indexed sequence, bytes32 indexed commitment, uint64 until);
        event DirectionPaused(Direction indexed direction);
        event DirectionResumed(Direction indexed direction);
        event TokenPaused(address indexed token);
        event TokenResumed(address indexed token);
        event LimitsSet(address indexed token, Limits limits);
        event GuardianSet(address indexed account);
        event GovernorSet(address indexed account);
        /// A call of the governor's may be made from `from` on, for a week.
        event CallScheduled(bytes32 indexed operation, uint64 from);
        event CallCancelled(bytes32 indexed operation);

        /// Guardian, at once.
        function pauseDirection(Direction direction) external;
        function pauseToken(address token) external;
        function stop(bytes calldata packet) external;
        /// Guardian or governor, at once; but a guardian no call that replaces a role's holder.
        function cancel(bytes32 operation) external;

        /// Governor: announces a call of one of the functions below, by its calldata. Its operation is
        /// the keccak256 of that.
        function schedule(bytes calldata data) external returns (bytes32 operation);
        /// Governor, each once it was announced and the delay is over.
        function resumeDirection(Direction direction) external;
        function resumeToken(address token) external;
        function setLimits(address token, Limits calldata limits) external;
        function setGuardian(address account) external;
        function setGovernor(address account) external;

        /// Anybody, once the delay of a large transfer is over.
        function release(bytes calldata packet) external;

        function directionPaused(Direction direction) external view returns (bool);
        function tokenPaused(address token) external view returns (bool);
        function limits(address token) external view returns (Limits memory);
        /// What is left of them now.
        function room(address token) external view returns (Room memory);
        /// Zero if none waits.
        function held(uint64 sequence) external view returns (bytes32 commitment, uint64 until);
        function heldSequences(uint256 from, uint256 limit) external view returns (uint256 count, uint64[] memory sequences);
        function guardian() external view returns (address);
        function governor() external view returns (address);
        function delaySeconds() external view returns (uint32);
        /// When an announced call may be made; zero if none was announced.
        function scheduled(bytes32 operation) external view returns (uint64 from);
    }

    /// Other native chains: packets to and from them, by certificate and path. `0x4d56…0008`.
    #[derive(Debug, PartialEq, Eq)]
    interface IPeers {
        event PacketSent(uint64 indexed peer, uint64 indexed sequence, bytes32 indexed commitment, bytes packet);
        event PacketReceived(uint64 indexed peer, uint64 indexed sequence, bytes32 indexed commitment);
        event PacketExpired(uint64 indexed peer, uint64 indexed sequence, bytes32 indexed commitment);
        event PacketRefunded(uint64 indexed peer, uint64 indexed sequence, bytes32 indexed commitment);
        event PacketAcknowledged(uint64 indexed peer, uint64 indexed sequence, bytes32 indexed commitment);
        event PacketHeld(uint64 indexed peer, uint64 indexed sequence, bytes32 indexed commitment, uint64 until);
        event PeerRegistered(uint64 indexed peer, address token, uint64 keyVersion, uint64 firstEpoch);
        event KeyRotated(uint64 indexed peer, uint64 indexed keyVersion, uint64 firstEpoch);
        event Frozen(uint64 indexed peer, uint64 indexed epoch, uint64 indexed view_, bytes32 first, bytes32 second);
        event DirectionPaused(uint64 indexed peer, IValves.Direction indexed direction);
        event DirectionResumed(uint64 indexed peer, IValves.Direction indexed direction);
        event TokenPaused(uint64 indexed peer, address indexed token);
        event TokenResumed(uint64 indexed peer, address indexed token);
        event LimitsSet(uint64 indexed peer, address indexed token, IValves.Limits limits);

        struct Totals { uint256 sent; uint256 received; uint256 refunded; }
        /// As on Ethereum (`ILightClient.HeaderProof`): a block, opened as far as needed, and its certificate.
        struct HeaderProof {
            uint64 epoch;
            uint64 view_;
            uint64 parentView;
            bytes32 restHash;
            uint64 outboxSize;
            bytes32 outboxTree;
            bytes signature;
        }
        struct OutboxItem { bytes packet; uint64 index; bytes32[] path; }

        function send(uint64 peer, address token, address receiver, uint256 amount, uint64 deadline) external returns (uint64 sequence);
        /// As `send`; `outbound(peer, sequence)` is 2 once the transfer was received over there.
        function sendAcknowledged(uint64 peer, address token, address receiver, uint256 amount, uint64 deadline) external returns (uint64 sequence);
        function deliver(uint64 peer, HeaderProof calldata header, OutboxItem[] calldata items) external;
        /// Anybody, once the delay of a large transfer is over.
        function release(uint64 peer, bytes calldata packet) external;
        /// Two certificates for different blocks of one view: nothing of this peer is believed any more.
        function freeze(uint64 peer, HeaderProof calldata first, HeaderProof calldata second) external;

        /// Guardian of the bridge, at once.
        function pauseDirection(uint64 peer, IValves.Direction direction) external;
        function pauseToken(uint64 peer, address token) external;
        function stop(uint64 peer, bytes calldata packet) external;

        /// Governor of the bridge, each once it was announced with the bridge's `schedule` and the delay is over.
        function register(uint64 peer, bytes calldata groupKey, uint64 keyVersion, uint64 firstEpoch, IValves.Limits calldata points, IValves.Limits calldata peerPoints) external;
        function resumeDirection(uint64 peer, IValves.Direction direction) external;
        function resumeToken(uint64 peer, address token) external;
        function setLimits(uint64 peer, address token, IValves.Limits calldata limits) external;

        function chainId() external view returns (uint64);
        /// Chain ids of all peers, in the order in which they were registered.
        function peers() external view returns (uint64[] memory);
        /// The peer's points here.
        function peerPoints(uint64 peer) external view returns (address token);
        function keyInForce(uint64 peer) external view returns (uint64 keyVersion, uint64 firstEpoch, bytes memory groupKey);
        function frozen(uint64 peer) external view returns (bool);
        function nextSequence(uint64 peer) external view returns (uint64);
        function outbound(uint64 peer, uint64 sequence) external view returns (bytes32);
        function receipt(uint64 peer, uint64 sequence) external view returns (uint8);
        function totals(uint64 peer, address token) external view returns (Totals memory);
        /// Held for the peer (points of here) or made (the peer's points), from the totals.
        function backing(uint64 peer, address token) external view returns (uint256 amount);
        /// Whether `backing` equals what is really held, or the real supply.
        function solvent(uint64 peer, address token) external view returns (bool);
        function directionPaused(uint64 peer, IValves.Direction direction) external view returns (bool);
        function tokenPaused(uint64 peer, address token) external view returns (bool);
        function limits(uint64 peer, address token) external view returns (IValves.Limits memory);
        function room(uint64 peer, address token) external view returns (IValves.Room memory);
        /// Zero if none waits.
        function held(uint64 peer, uint64 sequence) external view returns (bytes32 commitment, uint64 until);
        function heldSequences(uint64 peer, uint256 from, uint256 limit) external view returns (uint256 count, uint64[] memory sequences);
    }
}
