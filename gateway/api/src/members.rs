//! `/v1/members`: members that are linked once, with their consent.

use crate::amount::{decimal, secret};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// The member: as the partner knows them, or as linked before. The gateway never stores the
/// password.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(as = Member))]
pub struct MemberInput {
    /// Login at the partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 254, examples("minji@sky.example"))
    )]
    pub login: Option<String>,
    /// Password at the partner.
    #[serde(
        default,
        serialize_with = "secret::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Password, max_length = 256))]
    pub password: Option<SecretString>,
    /// Instead of both: the id of a linked member.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(examples("mem_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: Option<String>,
}

impl MemberInput {
    /// A member by login and password at the partner.
    pub fn login(login: impl Into<String>, password: SecretString) -> Self {
        Self {
            login: Some(login.into()),
            password: Some(password),
            id: None,
        }
    }

    /// A member that was linked before.
    pub fn linked(id: impl Into<String>) -> Self {
        Self {
            login: None,
            password: None,
            id: Some(id.into()),
        }
    }
}

/// A member to link.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// Whose miles.
    #[cfg_attr(feature = "openapi", schema(examples("airline")))]
    pub programme: String,
    /// By login and password.
    pub member: MemberInput,
    /// Name and version of the text that the member agreed to, as you keep it: 1 to 128 printable
    /// ASCII characters.
    #[cfg_attr(feature = "openapi", schema(examples("terms-2026-11")))]
    pub consent: String,
}

/// One linked member.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LinkedMember {
    /// Send it as `member.id` in quotes and conversions.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("mem_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// Whose miles.
    pub programme: String,
    /// `linked`; `relink` if the partner does not accept the link any more: link again; `left`.
    pub status: String,
    /// What the member agreed to.
    pub consent: String,
    /// RFC 3339.
    pub consented_at: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// What a member has.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MemberBalance {
    /// Whole miles.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("12345")))]
    pub miles: u64,
}
