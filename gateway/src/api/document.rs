//! What every operation may answer besides what is said of it: the answers of what a request passes on
//! its way. Written here once; `components/responses` of the document has them.

use crate::problem::{self, Kind};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Problems that no operation has to name, each with what it is called in the document.
const COMMON: [(Kind, &str, &str); 9] = [
    (
        problem::Malformed,
        "Malformed",
        "Path, query or body is not well formed",
    ),
    (
        problem::SignatureInvalid,
        "SignatureInvalid",
        "The signature that was sent is not accepted",
    ),
    (
        problem::Timeout,
        "Timeout",
        "It took more than a minute; look up what it began, or send it again",
    ),
    (problem::TooLarge, "TooLarge", "The body is too large"),
    (
        problem::MediaTypeUnsupported,
        "MediaTypeUnsupported",
        "The body is not JSON by its Content-Type",
    ),
    (
        problem::Invalid,
        "Invalid",
        "The body does not have the expected form",
    ),
    (
        problem::RateLimited,
        "RateLimited",
        "Too many requests with this key (with Retry-After)",
    ),
    (
        problem::Internal,
        "Internal",
        "The gateway failed; send the same request again",
    ),
    (
        problem::Busy,
        "Busy",
        "Too many requests run at once (with Retry-After)",
    ),
];

/// Adds to every operation the common answers that it does not name itself.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for (_, name, description) in COMMON {
        components
            .responses
            .insert(name.to_owned(), RefOr::T(refusal(description)));
    }
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            common(operation);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

fn common(operation: &mut Operation) {
    let json = operation
        .request_body
        .as_ref()
        .is_some_and(|body| match body {
            RefOr::T(body) => body.content.contains_key("application/json"),
            RefOr::Ref(_) => false,
        });
    let limited = operation.security.as_ref().is_some_and(|security| {
        let security = serde_json::to_value(security).unwrap_or_default();
        security.to_string().contains("\"api_key\"")
    });
    for (kind, name, _) in COMMON {
        let applies = match kind {
            problem::MediaTypeUnsupported | problem::Invalid => json,
            problem::RateLimited => limited,
            _ => true,
        };
        if !applies {
            continue;
        }
        let status = kind.status().as_str().to_owned();
        let answers = &mut operation.responses.responses;
        match answers.get_mut(&status) {
            // What it names is said in other words there; problems come all the same.
            Some(RefOr::T(named)) => {
                let media = problem::MEDIA_TYPE.to_owned();
                named
                    .content
                    .entry(media)
                    .or_insert_with(|| RefOr::T(content()));
            }
            Some(RefOr::Ref(_)) => {}
            None => {
                let response = Ref::from_response_name(name);
                answers.insert(status, RefOr::Ref(response));
            }
        }
    }
}

fn refusal(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(problem::MEDIA_TYPE, content())
        .build()
}

fn content() -> utoipa::openapi::Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build()
}
