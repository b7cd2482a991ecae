//! Traces: what one request set going, as a tree of spans, sent to a collector (OTLP over HTTP).
//!
//! ```txt
//! tracer    starts a tree; off by default, and then nothing is done
//! span      a piece of work in the tree that runs at the moment; none, if none does
//! parent    W3C trace context: `traceparent` as it comes in, goes out, and is stored
//! export    a bounded queue, and what sends it
//! sampler   which trees are recorded
//! ```
//!
//! There is no tracer for the whole process: the tree that runs is in OpenTelemetry's [`Context`], which
//! follows a future wherever it is polled, and a task where it is [`carried`]. Who is called outside a
//! tree records nothing and pays for one look at a thread's variable.
//!
//! Limits: 4,096 spans wait to be sent, 512 are sent at once, a collector has 10 seconds to take them.
//! What does not fit is dropped and counted; nobody waits for a collector, but a stop, for a while.
//!
//! [`Context`]: opentelemetry::Context

mod export;
mod parent;
mod sampler;
mod span;
mod tracer;

pub use export::Counts;
pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
pub use parent::{HEADER, Parent, here};
pub use span::{Spec, Timer, Traced, carried, failed, note, span};
pub use tracer::{Config, SetupError, Tracer};
