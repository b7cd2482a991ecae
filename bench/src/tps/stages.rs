//! Where the validators' processor time went, by what they tell on their metrics page.

use crate::{error::Error, figures::tenth, net::Net};
use std::collections::BTreeMap;

/// What each line begins with.
const METRIC: &str = "mileverse_cpu_seconds_total{stage=\"";
/// The stages of a transaction's way, as validators name them.
const STAGES: [&str; 5] = ["receive", "recover", "execute", "merkleize", "persist"];
/// What no stage claims.
const REST: &str = "agree";

/// Seconds in each stage, of all validators together.
#[derive(Clone, Debug, Default)]
pub struct Stages([f64; STAGES.len()]);

impl Stages {
    /// What all validators say now.
    pub async fn read(net: &Net) -> Result<Self, Error> {
        let mut sum = Self::default();
        for process in &net.processes {
            let text = reqwest::get(process.metrics()).await;
            let text = match text {
                Ok(answer) => answer.text().await,
                Err(error) => Err(error),
            };
            sum.add(&text.map_err(|error| Error::Setup(format!("a metrics page: {error}")))?);
        }
        Ok(sum)
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let Some((stage, value)) = line
                .strip_prefix(METRIC)
                .and_then(|rest| rest.split_once("\"} "))
            else {
                continue;
            };
            for (name, sum) in STAGES.iter().zip(&mut self.0) {
                if *name == stage {
                    *sum += value.parse::<f64>().unwrap_or_default();
                }
            }
        }
    }

    /// Microseconds that one transaction took one validator in each stage since `before`, when all of
    /// them took `spent` seconds for `transactions`, counted once for each validator.
    pub fn per_transaction(
        &self,
        before: &Self,
        spent: f64,
        transactions: u64,
    ) -> BTreeMap<&'static str, f64> {
        let each = |seconds: f64| {
            tenth(seconds.max(0.0) * 1_000_000.0 / crate::figures::float(transactions.max(1)))
        };
        let passed: Vec<f64> = self
            .0
            .iter()
            .zip(&before.0)
            .map(|(now, then)| now - then)
            .collect();
        let rest = spent - passed.iter().sum::<f64>();
        let named = STAGES.into_iter().zip(passed.into_iter().map(each));
        named.chain([(REST, each(rest))]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stage_claims_is_agreeing() {
        let mut before = Stages::default();
        before.add("mileverse_cpu_seconds_total{stage=\"recover\"} 1.5\nother 3\n");
        let mut after = Stages::default();
        for _ in 0..2 {
            after.add("mileverse_cpu_seconds_total{stage=\"recover\"} 1.75\nmileverse_cpu_seconds_total{stage=\"execute\"} 0.5\n");
        }
        let split = after.per_transaction(&before, 4.0, 1_000_000);
        assert_eq!(split.get("recover"), Some(&2.0));
        assert_eq!(split.get("execute"), Some(&1.0));
        assert_eq!(split.get("receive"), Some(&0.0));
        assert_eq!(split.get(REST), Some(&1.0));
    }
}
