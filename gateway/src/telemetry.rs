//! Whether and where traces are sent: the section `[telemetry]`, and the variables that OpenTelemetry names
//! for it (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). What the file says counts; an
//! endpoint in the environment turns traces on as well.

use mileverse_trace::Config;
use serde::Deserialize;
use url::Url;

const SERVICE: &str = "mileverse-gateway";
const MAX_NAME_BYTES: usize = 128;

/// The section.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetryFile {
    otlp_endpoint: Option<Url>,
    service_name: Option<String>,
    sample_ratio: Option<f64>,
}

/// What is wrong: the field, and a sentence that goes on from it.
pub(crate) type Wrong = (&'static str, &'static str);

impl TelemetryFile {
    /// What is sent where; `None` if nothing.
    pub(crate) fn check(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Config>, Wrong> {
        let read = |name: &str| environment(name).filter(|text| !text.is_empty());
        let ratio = self.sample_ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&ratio) {
            return Err(("telemetry.sample_ratio", "must be between 0 and 1"));
        }
        let name = self.service_name.or_else(|| read("OTEL_SERVICE_NAME"));
        let service_name = name.unwrap_or_else(|| SERVICE.to_owned());
        if !(1..=MAX_NAME_BYTES).contains(&service_name.len()) {
            return Err(("telemetry.service_name", "must have 1 to 128 bytes"));
        }
        let named = |field, text: Option<String>| {
            let parsed = text.map(|text| text.parse::<Url>());
            parsed.transpose().map_err(|_| (field, "must be a URL"))
        };
        const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let (field, endpoint) = if let Some(base) = self.otlp_endpoint {
            ("telemetry.otlp_endpoint", of_traces(base))
        } else if let Some(endpoint) = named(OWN, read(OWN))? {
            // This one is used as it is.
            (OWN, endpoint)
        } else if let Some(base) = named(ALL, read(ALL))? {
            (ALL, of_traces(base))
        } else {
            return Ok(None);
        };
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host().is_none() {
            return Err((field, "must be an http or https URL"));
        }
        if read("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        Ok(Some(Config {
            endpoint,
            service_name,
            sample_ratio: ratio,
        }))
    }
}

/// The place for traces below a collector's base.
fn of_traces(mut base: Url) -> Url {
    let path = format!("{}/v1/traces", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checked(file: &str, environment: &[(&str, &str)]) -> Result<Option<Config>, Wrong> {
        let file: TelemetryFile = toml::from_str(file).unwrap();
        file.check(|name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    fn endpoint(file: &str, environment: &[(&str, &str)]) -> Option<String> {
        let config = checked(file, environment).unwrap();
        config.map(|config| config.endpoint.to_string())
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/");
    const OWN: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:4318/spans");

    #[test]
    fn traces_are_off_until_an_endpoint_is_named() {
        assert_eq!(endpoint("", &[]), None);
        assert_eq!(
            endpoint("sample_ratio = 0.5", &[("OTEL_SERVICE_NAME", "x")]),
            None
        );
        let file = "otlp_endpoint = 'http://a:4318'";
        assert_eq!(endpoint(file, &[]).unwrap(), "http://a:4318/v1/traces");
        assert_eq!(
            endpoint("", &[BASE]).unwrap(),
            "http://c:4318/base/v1/traces"
        );
        assert_eq!(endpoint("", &[BASE, OWN]).unwrap(), "http://t:4318/spans");
        assert_eq!(
            endpoint(file, &[BASE, OWN]).unwrap(),
            "http://a:4318/v1/traces"
        );
        assert_eq!(endpoint(file, &[("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(endpoint("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
    }

    #[test]
    fn names_and_shares() {
        let read = |file, environment| checked(file, environment).unwrap().unwrap();
        assert_eq!(read("", &[BASE]).service_name, "mileverse-gateway");
        assert_eq!(read("", &[BASE]).sample_ratio.to_string(), "1");
        let named: &[_] = &[BASE, ("OTEL_SERVICE_NAME", "theirs")];
        assert_eq!(read("", named).service_name, "theirs");
        let config = read("service_name = 'ours'\nsample_ratio = 0.25", named);
        assert_eq!(
            (
                config.service_name.as_str(),
                config.sample_ratio.to_string().as_str()
            ),
            ("ours", "0.25")
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (file, field) in [
            ("otlp_endpoint = 'ftp://a'", "telemetry.otlp_endpoint"),
            ("sample_ratio = 1.5", "telemetry.sample_ratio"),
            ("sample_ratio = -0.1", "telemetry.sample_ratio"),
            ("sample_ratio = nan", "telemetry.sample_ratio"),
            ("service_name = ''", "telemetry.service_name"),
        ] {
            assert_eq!(checked(file, &[]).unwrap_err().0, field, "{file}");
        }
        let wrong = checked("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]);
        assert_eq!(wrong.unwrap_err().0, "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
}
