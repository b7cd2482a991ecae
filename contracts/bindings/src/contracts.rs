//! Generated types, one module a contract. The Solidity source documents them.
#![allow(missing_docs)]
// `permit` has seven arguments of its own.
#![allow(clippy::too_many_arguments)]

/// Who may turn the bridge's valves.
pub mod authority {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Authority,
        "artifacts/Authority.json"
    );
}

/// The Ethereum end of the bridge.
pub mod bridge {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Bridge,
        "artifacts/Bridge.json"
    );
}

/// MVC.
pub mod coin {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        MileVerseCoin,
        "artifacts/MileVerseCoin.json"
    );
}

/// Trades across two chains without the bridge.
pub mod swaps {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        HashedTimelock,
        "artifacts/HashedTimelock.json"
    );
}

/// What Ethereum knows of the native chain.
pub mod light_client {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        LightClient,
        "artifacts/LightClient.json"
    );
}

/// A tranche under lock-up.
pub mod lockup {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Lockup,
        "artifacts/Lockup.json"
    );
}

/// MVP on Ethereum.
pub mod points {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        WrappedPoints,
        "artifacts/WrappedPoints.json"
    );
}

/// Holds the reserved tranche of MVC.
pub mod reserve {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        Reserve,
        "artifacts/Reserve.json"
    );
}

/// The quarterly rewards on Ethereum.
pub mod rewards {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        QuarterlyRewards,
        "artifacts/QuarterlyRewards.json"
    );
}
