//! One request, put together and made.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use trace_context::TraceParent;

use crate::{Error, InMemoryResult, Response, Transport};

/// A request that is not yet made.
#[must_use = "a request is made by `send_awaiting_body`"]
pub struct RequestBuilder<'a> {
    transport: Option<&'a Transport>,
    method: Method,
    url: String,
    query: Vec<(String, String)>,
    credentials: Option<String>,
    form: Option<String>,
}

impl<'a> RequestBuilder<'a> {
    pub(crate) fn new(transport: Option<&'a Transport>, method: Method, url: String) -> Self {
        Self { transport, method, url, query: Vec::new(), credentials: None, form: None }
    }

    /// Adds a parameter to the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Authenticates with `user:password` in base64.
    pub fn basic_auth(mut self, credentials: &str) -> Self {
        self.credentials = Some(credentials.to_owned());
        self
    }

    /// Gives it a form as body, already encoded.
    pub fn form(mut self, encoded: String) -> Self {
        self.form = Some(encoded);
        self
    }

    /// Makes the request, once, and waits for the whole answer.
    ///
    /// # Errors
    /// [`Error`], which tells apart what was never sent, what may have been received, and an
    /// answer that is none of the 2xx.
    pub async fn send_awaiting_body(self) -> InMemoryResult<Response> {
        let transport = self.transport.ok_or(Error::NoTransport)?;
        let request = self.build(&transport.http)?;
        let answer = transport.http.execute(request).await.map_err(Error::of_sending)?;
        let response = Response::read(answer, transport.largest_answer).await?;
        if response.is_success() {
            Ok(response)
        } else {
            Err(Error::NotSuccess(Box::new(response)))
        }
    }

    fn build(self, http: &reqwest::Client) -> InMemoryResult<reqwest::Request> {
        let mut request = http.request(self.method, self.url).query(&self.query);
        if let Some(parent) = TraceParent::current() {
            request = request.header(trace_context::HEADER, parent.to_string());
        }
        if let Some(credentials) = self.credentials {
            let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
                .map_err(|_| Error::Credentials)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(form) = self.form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        request.build().map_err(|error| Error::Unusable(error.without_url()))
    }
}
