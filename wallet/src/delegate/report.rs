//! Evidence against a delegate. Anybody may submit it; the reporter gets a share.
//!
//! Without a file it is what the node at hand found itself (`mileverse_evidence`). Of what the node
//! says only the evidence is taken: the call is made anew here, for the staking module.
//!
//! An evidence file is JSON, one of:
//!
//! ```json
//! { "kind": "doubleProposal", "headerA": "0x…", "signatureA": "0x…", "headerB": "0x…", "signatureB": "0x…" }
//! { "kind": "falseAttestation", "epoch": 7, "height": 2104, "digest": "0x…", "delegate": "0x…", "signature": "0x…" }
//! ```

use super::{Answer, Error, Staking, candidacy::limited, done};
use alloy::{
    primitives::{B256, Bytes, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolCall as _,
};
use clap::Args;
use mileverse_primitives::{abi::IStaking, rpc::Evidence as Found};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Report {
    /// Evidence file (JSON); without it, everything that the node found.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Evidence {
    DoubleProposal {
        header_a: Bytes,
        signature_a: Bytes,
        header_b: Bytes,
        signature_b: Bytes,
    },
    FalseAttestation {
        epoch: u64,
        height: u64,
        digest: B256,
        delegate: B256,
        signature: Bytes,
    },
}

impl Evidence {
    const fn words(&self) -> &'static str {
        match self {
            Self::DoubleProposal { .. } => "double proposal",
            Self::FalseAttestation { .. } => "false attestation",
        }
    }

    /// From a call of the staking module that submits it.
    fn from_call(calldata: &[u8]) -> Option<Self> {
        if let Ok(call) = IStaking::submitDoubleProposalCall::abi_decode(calldata) {
            return Some(Self::DoubleProposal {
                header_a: call.headerA,
                signature_a: call.signatureA,
                header_b: call.headerB,
                signature_b: call.signatureB,
            });
        }
        let call = IStaking::submitFalseAttestationCall::abi_decode(calldata).ok()?;
        Some(Self::FalseAttestation {
            epoch: call.epoch,
            height: call.height,
            digest: call.digest,
            delegate: call.delegate,
            signature: call.signature,
        })
    }

    async fn submit(self, staking: &Staking) -> Result<TransactionReceipt, Error> {
        match self {
            Self::DoubleProposal {
                header_a,
                signature_a,
                header_b,
                signature_b,
            } => {
                let call = IStaking::submitDoubleProposalCall {
                    headerA: header_a,
                    signatureA: signature_a,
                    headerB: header_b,
                    signatureB: signature_b,
                };
                staking.call(&call, U256::ZERO).await
            }
            Self::FalseAttestation {
                epoch,
                height,
                digest,
                delegate,
                signature,
            } => {
                let call = IStaking::submitFalseAttestationCall {
                    epoch,
                    height,
                    digest,
                    delegate,
                    signature,
                };
                staking.call(&call, U256::ZERO).await
            }
        }
    }
}

pub(super) async fn report(staking: &Staking, arguments: &Report) -> Result<Answer, Error> {
    let Some(path) = &arguments.evidence else {
        return report_found(staking).await;
    };
    let refuse = |reason: String| Error::File {
        path: path.clone(),
        what: "file of evidence",
        reason,
    };
    let text = limited(path).map_err(|error| refuse(error.to_string()))?;
    let evidence: Evidence =
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let what = evidence.words();
    let receipt = evidence.submit(staking).await?;
    let facts = vec![("proven", what.to_owned())];
    Ok(done(facts, json!({ "proven": what }), &receipt))
}

/// Submits what the node found, one transaction each.
async fn report_found(staking: &Staking) -> Result<Answer, Error> {
    let found: Vec<Found> = staking
        .client()
        .endpoint()
        .method("mileverse_evidence", ())
        .await?;
    let mut facts = Vec::new();
    let mut list = Vec::new();
    for found in found {
        // Of another release than this program's.
        let Some(evidence) = Evidence::from_call(&found.calldata) else {
            continue;
        };
        let what = evidence.words();
        let receipt = evidence.submit(staking).await?;
        facts.push((what, found.offender.to_string()));
        list.push(json!({
            "proven": what,
            "offender": found.offender,
            "transaction": receipt.transaction_hash,
        }));
    }
    if facts.is_empty() {
        facts.push((
            "evidence",
            "this node found none that is not on chain".to_owned(),
        ));
    }
    Ok(Answer::facts(facts, json!({ "reported": list })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_node_can_only_name_evidence() {
        let call = IStaking::submitFalseAttestationCall {
            epoch: 7,
            height: 2104,
            digest: B256::repeat_byte(1),
            delegate: B256::repeat_byte(2),
            signature: Bytes::from_static(&[3; 64]),
        };
        let read = Evidence::from_call(&call.abi_encode());
        assert!(matches!(
            read,
            Some(Evidence::FalseAttestation {
                epoch: 7,
                height: 2104,
                ..
            })
        ));
        let call = IStaking::submitDoubleProposalCall {
            headerA: Bytes::from_static(&[1]),
            signatureA: Bytes::new(),
            headerB: Bytes::from_static(&[2]),
            signatureB: Bytes::new(),
        };
        let read = Evidence::from_call(&call.abi_encode());
        assert!(
            matches!(read, Some(Evidence::DoubleProposal { header_b, .. }) if header_b == [2][..])
        );
        let other = IStaking::unstakeCall { amount: U256::ONE };
        for foreign in [&other.abi_encode()[..], &[], &[0; 4]] {
            assert_eq!(Evidence::from_call(foreign), None);
        }
    }

    #[test]
    fn both_kinds_are_read_and_nothing_else() {
        let double = r#"{"kind":"doubleProposal","headerA":"0x01","signatureA":"0x02","headerB":"0x03","signatureB":"0x04"}"#;
        let read: Evidence = serde_json::from_str(double).unwrap();
        assert!(matches!(read, Evidence::DoubleProposal { header_b, .. } if header_b == [3][..]));
        let digest = B256::repeat_byte(1);
        let false_one = format!(
            r#"{{"kind":"falseAttestation","epoch":1,"height":2,"digest":"{digest}","delegate":"{digest}","signature":"0x"}}"#
        );
        assert!(serde_json::from_str::<Evidence>(&false_one).is_ok());
        for bad in [
            "{}",
            r#"{"kind":"rumour"}"#,
            &double.replace("headerB", "headerC"),
        ] {
            assert!(serde_json::from_str::<Evidence>(bad).is_err(), "{bad}");
        }
    }
}
