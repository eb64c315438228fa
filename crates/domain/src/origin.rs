//! What a piece of work follows from: with it a job's log lines and spans are found beside those of
//! the request that caused it.

/// The request that something follows from, as far as it is known. Holds ids only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The id of the request: the caller's `X-Request-ID`, or ours.
    pub request_id: Option<String>,
    /// Where it belongs in a trace: a `traceparent` of the W3C Trace Context.
    pub traceparent: Option<String>,
}
