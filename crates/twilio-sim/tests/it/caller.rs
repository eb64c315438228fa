//! Whoever calls the API.

use std::time::Duration;

use serde_json::Value;
use twilio_sim::{Simulator, SimulatorBuilder};

pub(crate) const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const TOKEN: &str = "local-development-token";
pub(crate) const OURS: &str = "+18605550100";
pub(crate) const THEIRS: &str = "+18605550199";
pub(crate) const SERVICE_SID: &str = "MGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(crate) fn builder() -> SimulatorBuilder {
    Simulator::builder(ACCOUNT, TOKEN)
}

pub(crate) async fn simulator() -> Simulator {
    builder().start().await.unwrap()
}

/// A client that has an account, and waits half a second for an answer.
pub(crate) struct Caller {
    client: reqwest::Client,
    base_url: String,
}

/// What it was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn code(&self) -> u64 {
        self.body["code"].as_u64().unwrap_or_default()
    }

    pub(crate) fn sid(&self) -> &str {
        self.body["sid"].as_str().unwrap()
    }
}

impl Caller {
    pub(crate) fn new(simulator: &Simulator) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(500));
        Self { client: client.build().unwrap(), base_url: simulator.base_url() }
    }

    /// Asks to send a text with those words to that number.
    pub(crate) async fn text(&self, to: &str, body: &str) -> Reply {
        self.create(&[("To", to), ("From", OURS), ("Body", body)]).await
    }

    pub(crate) async fn create(&self, form: &[(&str, &str)]) -> Reply {
        self.try_create(form).await.unwrap()
    }

    pub(crate) async fn try_create(&self, form: &[(&str, &str)]) -> reqwest::Result<Reply> {
        self.send(self.client.post(self.url("/Messages.json")).form(form)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.client.get(self.url(path))).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(self.client.post(self.url(path)).form(form)).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.client.delete(self.url(path))).await.unwrap()
    }

    /// Follows an address that an answer gave, such as the next page's.
    pub(crate) async fn follow(&self, uri: &str) -> Reply {
        self.send(self.client.get(format!("{}{uri}", self.base_url))).await.unwrap()
    }

    pub(crate) async fn get_as(&self, name: &str, token: &str) -> Reply {
        let request = self.client.get(self.url(".json")).basic_auth(name, Some(token));
        reply(request.send().await.unwrap()).await.unwrap()
    }

    /// Asks the simulator itself.
    pub(crate) async fn control(&self, path: &str, body: Option<Value>) -> Reply {
        let url = format!("{}/sim{path}", self.base_url);
        let request = match body {
            Some(body) => self.client.post(url).json(&body),
            None => self.client.get(url),
        };
        reply(request.send().await.unwrap()).await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}/2010-04-01/Accounts/{ACCOUNT}{path}", self.base_url)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
        reply(request.basic_auth(ACCOUNT, Some(TOKEN)).send().await?).await
    }
}

async fn reply(response: reqwest::Response) -> reqwest::Result<Reply> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
    Ok(Reply { status, retry_after, body })
}
