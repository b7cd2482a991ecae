//! `IRotation`: asking for a new group key, and the keys that took over. `docs/protocol.md`,
//! "Rotation", explains it.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

alloy::sol! {
    /// Rotation to a new group key.
    #[derive(Debug, PartialEq, Eq)]
    interface IRotation {
        /// `asked` delegates of the committee ask now; `since` is the first epoch that tries to
        /// make a new key, 0 while too few ask.
        event RotationRequested(address indexed owner, uint32 asked, uint64 since);
        event RotationWithdrawn(address indexed owner);

        /// Asks for a new group key, once per delegate, by its owner.
        function request() external;
        /// Takes the request back, while too few ask.
        function withdraw() external;
        /// How many of the current committee's delegates ask, how many must, and since which epoch
        /// every epoch tries to make a new key (0: none does).
        function rotation() external view returns (uint64 since, uint32 asked, uint32 needed);
        /// How many new keys there were; the genesis key is number 0.
        function keyCount() external view returns (uint64);
        /// A new key by its number from 1, with the first epoch that it signs (EIP-2537, 256 bytes).
        function key(uint64 number) external view returns (uint64 firstEpoch, bytes memory groupKey);
    }
}
