//! `/v1/signing-keys`, `/v1/signature-rule`: who may sign, and whether requests must be signed.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// A public key to register.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SigningKeyRequest {
    /// Ed25519: 32 bytes in base64.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="))
    )]
    pub public_key: String,
}

/// One signing key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SigningKey {
    /// Your name of it: the `keyid` of its signatures.
    #[cfg_attr(feature = "openapi", schema(examples("till-7")))]
    pub name: String,
    /// Ed25519: 32 bytes in base64.
    pub public_key: String,
    /// RFC 3339.
    pub created_at: String,
}

/// The signing keys of the API key that asks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SigningKeyList {
    /// Whether every request with this API key must be signed.
    pub required: bool,
    /// The keys.
    pub items: Vec<SigningKey>,
}

/// Whether requests must be signed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignatureRule {
    /// Whether every request with this API key must be signed.
    pub required: bool,
}
