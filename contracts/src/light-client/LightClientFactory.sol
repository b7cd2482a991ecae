// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILightClient} from "../interfaces/ILightClient.sol";
import {LightClient} from "./LightClient.sol";

/// @title Makes light clients, so that the bridge need not carry their code
/// @notice No storage and no rights: anybody may make a client of any key, and nobody asks it.
/// The bridge makes this factory itself, and believes only the client that its own handler put in.
contract LightClientFactory {
    /// @notice A client of `key`. Reverts when the key is not one.
    function create(bytes calldata key, uint64 chainId, uint64 keyVersion, uint64 firstEpoch)
        external
        returns (ILightClient)
    {
        return new LightClient(key, chainId, keyVersion, firstEpoch);
    }
}
