//! What can be stopped at the native side of the bridge, and how much may cross. The same words as
//! `contracts/src/interfaces/IValves.sol`, and the delay that AccessManager is on Ethereum.

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
}
