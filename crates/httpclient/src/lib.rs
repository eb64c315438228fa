#![doc = include_str!("../README.md")]

mod error;
mod request;
mod response;

pub use error::{Error, InMemoryResult};
pub use request::RequestBuilder;
pub use response::Response;

use reqwest::Method;

/// Makes requests to one base URL.
#[derive(Default)]
pub struct Client {
    base_url: String,
    transport: Option<Transport>,
}

/// How requests travel.
pub(crate) struct Transport {
    http: reqwest::Client,
    largest_answer: usize,
}

impl Client {
    /// What `twilio-rs` calls. Such a client has no way out: [`Error::NoTransport`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A client whose requests are made by `http`, and whose answers have at most so many bytes.
    #[must_use]
    pub fn over(http: reqwest::Client, largest_answer: usize) -> Self {
        Self { base_url: String::new(), transport: Some(Transport { http, largest_answer }) }
    }

    /// Requests go to paths under this URL, which ends without a slash.
    #[must_use]
    pub fn base_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.base_url);
        self
    }

    /// There is no middleware: [`Middleware`] has no implementation, so nobody can call this.
    #[must_use]
    pub fn with_middleware<M: Middleware + 'static>(self, _middleware: M) -> Self {
        self
    }

    /// A request to read what is at `path`, which may have a query.
    pub fn get(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::GET, path)
    }

    /// A request to add to what is at `path`.
    pub fn post(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::POST, path)
    }

    /// A request to remove what is at `path`.
    pub fn delete(&self, path: &str) -> RequestBuilder<'_> {
        self.request(Method::DELETE, path)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder<'_> {
        RequestBuilder::new(self.transport.as_ref(), method, format!("{}{path}", self.base_url))
    }
}

/// Named by `twilio-rs` only.
pub trait Middleware: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}
