//! `IPoints`: the points token. `docs/points.md` explains it, `docs/fees.md` what it costs.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

alloy::sol! {
    /// MVP: ERC-20 with 6 decimals, made only by issuers, one issue per conversion id.
    #[derive(Debug, PartialEq, Eq)]
    interface IPoints {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
        event Issued(bytes32 indexed conversionId, address indexed to, uint256 amount);
        event Burned(address indexed from, uint256 amount);
        /// What a transfer was for; it follows the `Transfer` that it belongs to.
        event Memo(address indexed from, address indexed to, bytes32 indexed memo, uint256 amount);
        /// How one entry of a batch ended.
        event EntryDone(uint256 indexed index, bytes32 indexed memo, Outcome outcome);
        /// EIP-3009.
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);
        event IssuingStopped();
        event IssuingResumed();
        event IssuerStopped(address indexed issuer);
        event IssuerResumed(address indexed issuer);

        /// How an entry of a batch ended; all but `Done` leave nothing behind.
        enum Outcome {
            Done,
            /// The receiver is the zero address or a system module.
            BadReceiver,
            /// The balance does not cover the amount and its fee.
            Balance,
            /// The amount is zero.
            ZeroAmount,
            /// The conversion id is zero.
            ZeroId,
            /// Points were already issued for the conversion id.
            AlreadyIssued,
            /// The issuer's daily quota does not cover the amount.
            Quota
        }
        /// One transfer of a batch.
        struct Move { address to; uint256 amount; bytes32 memo; }
        /// One issue of a batch.
        struct Issue { address to; uint256 amount; bytes32 conversionId; }

        function name() external view returns (string memory);
        function symbol() external view returns (string memory);
        function decimals() external view returns (uint8);
        function totalSupply() external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
        function approve(address spender, uint256 amount) external returns (bool);
        function transferFrom(address from, address to, uint256 amount) external returns (bool);

        /// Transfers that say what they are for.
        function transferWithMemo(address to, uint256 amount, bytes32 memo) external returns (bool);
        function transferFromWithMemo(address from, address to, uint256 amount, bytes32 memo) external returns (bool);
        /// Up to 1,000 transfers of the caller's; one that fails does not fail the others.
        function transferBatch(Move[] calldata moves) external returns (uint256 done);

        /// What a transfer costs on top of its amount, and to whom that goes.
        function transferFee(address from, address to, uint256 amount) external view returns (uint256 fee);
        function feeReceiver() external view returns (address);

        /// Makes points, once per conversion id, by an issuer within its daily quota.
        function issue(address to, uint256 amount, bytes32 conversionId) external;
        /// Up to 1,000 issues; one that fails does not fail the others.
        function issueBatch(Issue[] calldata issues) external returns (uint256 done);
        /// Destroys points of the caller's.
        function burn(uint256 amount) external;
        /// What was issued for a conversion id; zero if nothing was.
        function issued(bytes32 conversionId) external view returns (uint256 amount);
        /// All that was ever issued, and burned.
        function totalIssued() external view returns (uint256);
        function totalBurned() external view returns (uint256);
        /// What `issuer` may issue in a UTC day of block time; zero for anybody else.
        function dailyQuota(address issuer) external view returns (uint256);
        /// What `issuer` may still issue in the current UTC day of block time.
        function quotaLeft(address issuer) external view returns (uint256);

        /// The guardian stops issuing, by all or by one, and lets it go on. It can do nothing else.
        function stopIssuing() external;
        function resumeIssuing() external;
        function stopIssuer(address issuer) external;
        function resumeIssuer(address issuer) external;
        function guardian() external view returns (address);
        function issuingStopped() external view returns (bool);
        function issuerStopped(address issuer) external view returns (bool);

        /// EIP-2612, and the same with the signature as 65 bytes `r ‖ s ‖ v`.
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
        function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        /// EIP-5267.
        function eip712Domain() external view returns (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] memory extensions);

        /// EIP-3009, and the same with the signature as 65 bytes `r ‖ s ‖ v`.
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes calldata signature) external;
        function receiveWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;
        function receiveWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes calldata signature) external;
        function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;
        function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external;
        /// Whether the authorization was used or cancelled.
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function TRANSFER_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
        function RECEIVE_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
        function CANCEL_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
        function PERMIT_TYPEHASH() external view returns (bytes32);
    }
}
