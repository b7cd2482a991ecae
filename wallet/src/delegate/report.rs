//! Evidence against a delegate. Anybody may submit it; the reporter gets a share.
//!
//! An evidence file is JSON, one of:
//!
//! ```json
//! { "kind": "doubleProposal", "headerA": "0x…", "signatureA": "0x…", "headerB": "0x…", "signatureB": "0x…" }
//! { "kind": "falseAttestation", "epoch": 7, "height": 2104, "digest": "0x…", "delegate": "0x…", "signature": "0x…" }
//! ```

use super::{Answer, Error, Staking, candidacy::limited, done};
use alloy::primitives::{B256, Bytes, U256};
use clap::Args;
use mileverse_primitives::abi::IStaking;
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Report {
    /// Evidence file (JSON).
    #[arg(long, value_name = "FILE")]
    evidence: PathBuf,
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

pub(super) async fn report(staking: &Staking, arguments: &Report) -> Result<Answer, Error> {
    let path = &arguments.evidence;
    let refuse = |reason: String| Error::File {
        path: path.clone(),
        what: "file of evidence",
        reason,
    };
    let text = limited(path).map_err(|error| refuse(error.to_string()))?;
    let evidence: Evidence =
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let (what, receipt) = match evidence {
        Evidence::DoubleProposal {
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
            ("double proposal", staking.call(&call, U256::ZERO).await?)
        }
        Evidence::FalseAttestation {
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
            ("false attestation", staking.call(&call, U256::ZERO).await?)
        }
    };
    let facts = vec![("proven", what.to_owned())];
    Ok(done(facts, json!({ "proven": what }), &receipt))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
