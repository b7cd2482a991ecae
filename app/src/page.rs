//! The page: plain HTML, CSS and ES modules out of `page/`, with no build step, nothing inline, and
//! nothing from anybody else.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

/// Scripts, styles and requests of our own only; pictures of wallets come as data (EIP-6963).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Its files.
const FILES: [(&str, &str, &str); 13] = [
    (
        "/app/page/style.css",
        CSS,
        include_str!("../page/style.css"),
    ),
    (
        "/app/page/copy.svg",
        IMAGE,
        include_str!("../page/copy.svg"),
    ),
    (
        "/app/page/done.svg",
        IMAGE,
        include_str!("../page/done.svg"),
    ),
    (
        "/app/page/mark.svg",
        IMAGE,
        include_str!("../page/mark.svg"),
    ),
    ("/app/page/api.js", SCRIPT, include_str!("../page/api.js")),
    ("/app/page/dom.js", SCRIPT, include_str!("../page/dom.js")),
    ("/app/page/main.js", SCRIPT, include_str!("../page/main.js")),
    (
        "/app/page/progress.js",
        SCRIPT,
        include_str!("../page/progress.js"),
    ),
    (
        "/app/page/receiver.js",
        SCRIPT,
        include_str!("../page/receiver.js"),
    ),
    (
        "/app/page/review.js",
        SCRIPT,
        include_str!("../page/review.js"),
    ),
    (
        "/app/page/state.js",
        SCRIPT,
        include_str!("../page/state.js"),
    ),
    (
        "/app/page/wallets.js",
        SCRIPT,
        include_str!("../page/wallets.js"),
    ),
    (
        "/app/page/words.js",
        SCRIPT,
        include_str!("../page/words.js"),
    ),
];

pub(crate) fn router() -> Router {
    let page = || async { file(HTML, include_str!("../page/index.html")) };
    let start = Router::new()
        .route("/app", get(page))
        .route("/app/", get(|| async { Redirect::permanent("/app") }));
    FILES.into_iter().fold(start, |router, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
