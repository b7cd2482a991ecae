//! The airline's JSON. Fields we do not know are ignored; statuses we do not know are not.

use serde::{Deserialize, Serialize};

/// `POST /v1/members/login`.
#[derive(Serialize)]
pub struct LoginRequest<'a> {
    pub login: &'a str,
    pub password: &'a str,
}

/// Its answer.
#[derive(Deserialize)]
pub struct LoginAnswer {
    pub member_id: String,
    pub member_token: String,
}

/// `GET /v1/members/{id}/balance`.
#[derive(Deserialize)]
pub struct BalanceAnswer {
    pub member_id: String,
    pub miles: u64,
}

/// `POST /v1/debits`.
#[derive(Serialize)]
pub struct DebitRequest<'a> {
    pub reference: &'a str,
    pub member_id: &'a str,
    pub miles: u64,
}

/// A debit as the airline has it: the answer to a debit, an inquiry and a reversal.
#[derive(Deserialize)]
pub struct DebitAnswer {
    pub reference: String,
    pub status: String,
    pub member_id: Option<String>,
    pub miles: Option<u64>,
    pub partner_reference: Option<String>,
    pub reason: Option<String>,
}

/// Any refusal of a request.
#[derive(Deserialize)]
pub struct ErrorAnswer {
    pub error: String,
}
