//! The JSON of TMF658. Fields we do not know are ignored; statuses we do not know are not.

use serde::Deserialize;

/// `POST oauth/member-token`.
#[derive(Deserialize)]
pub struct TokenAnswer {
    pub access_token: String,
}

/// A reference to another resource.
#[derive(Deserialize)]
pub struct Link {
    pub id: String,
}

/// `loyaltyProgramMember`.
#[derive(Deserialize)]
pub struct Member {
    pub id: String,
}

/// A whole number of something.
#[derive(Deserialize)]
pub struct Quantity {
    pub amount: u64,
    pub units: String,
}

/// A part of `loyaltyAccount`.
#[derive(Deserialize)]
pub struct Balance {
    pub quantity: Quantity,
}

/// `loyaltyAccount`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: String,
    pub loyalty_program_member: Link,
    #[serde(default)]
    pub loyalty_balance: Vec<Balance>,
}

impl Account {
    /// The balance in some units, if there is exactly one.
    pub fn balance(&self, units: &str) -> Option<u64> {
        let mut ours = self
            .loyalty_balance
            .iter()
            .filter(|balance| balance.quantity.units == units);
        match (ours.next(), ours.next()) {
            (Some(balance), None) => Some(balance.quantity.amount),
            _ => None,
        }
    }
}

/// `loyaltyBurn`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Burn {
    pub id: String,
    pub href: Option<String>,
    pub status: String,
    pub status_reason: Option<String>,
    pub loyalty_program_member: Option<Link>,
    pub quantity: Option<Quantity>,
}

/// An error: TMF630's `code`, or OAuth's `error`.
#[derive(Deserialize)]
pub struct ErrorAnswer {
    #[serde(alias = "error")]
    pub code: String,
}
