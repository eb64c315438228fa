//! Twilio's lists of messages, read as far as they are needed.

use async_trait::async_trait;
use domain::message::{Direction, Media, TwilioSid};
use domain::ports::{Archive, MessageList, PageToken, ProviderError, ProviderPage};
use domain::text::Text;
use domain::timestamp::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;

use crate::client::{MOST_PAGES, PAGE_SIZE, TwilioClient};
use crate::form::encode;
use crate::outcome;

#[async_trait]
impl Archive for TwilioClient {
    #[tracing::instrument(name = "twilio.list", skip_all, fields(direction = list.direction.as_str()))]
    async fn list(
        &self,
        list: &MessageList,
        since: Timestamp,
        page: Option<PageToken>,
    ) -> Result<ProviderPage, ProviderError> {
        let (party, filter) = match list.direction {
            Direction::Inbound => ("To", sent_since(since)),
            // What was never sent has no date: a filter would leave out what failed.
            Direction::Outbound => ("From", encode([("PageSize", &*PAGE_SIZE.to_string())])),
        };
        let own = encode([(party, list.number.as_str())]);
        let rest = page.map_or(filter, |PageToken(behind)| behind);
        let page = self.page(&format!("{own}&{rest}")).await?;
        let next = self.behind(&page, since)?;
        Ok(ProviderPage { messages: page.messages, next: next.map(|query| token(&query, party)) })
    }

    #[tracing::instrument(name = "twilio.media_of", skip_all, fields(twilio_sid = %sid))]
    async fn media_of(&self, sid: &TwilioSid) -> Result<Vec<Media>, ProviderError> {
        // Anything else would be another path.
        if !sid.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Vec::new());
        }
        let path = format!("/2010-04-01/Accounts/{}/Messages/{sid}/Media.json", self.account_sid());
        let answer = self.ask(&path).await?;
        let Some(Value::Array(list)) = answer.get("media_list") else {
            return Err(outcome::odd_list("the answer is no list of media"));
        };
        Ok(list.iter().filter_map(|one| self.media(one)).collect())
    }

    #[tracing::instrument(name = "twilio.numbers_of", skip_all)]
    async fn numbers_of(&self, service: &str) -> Result<Vec<Text>, ProviderError> {
        let path = format!("/v1/Services/{service}/PhoneNumbers");
        let numbers = self.messaging_list(&path, "phone_numbers").await?;
        let number = |one: &Value| one.get("phone_number").and_then(Value::as_str).map(Text::new);
        Ok(numbers.iter().filter_map(number).collect())
    }
}

impl TwilioClient {
    /// As webhooks show it: the address of the file itself.
    fn media(&self, one: &Value) -> Option<Media> {
        let uri = one.get("uri")?.as_str()?;
        let path = uri.strip_suffix(".json").unwrap_or(uri);
        let content_type = one.get("content_type").and_then(Value::as_str).map(str::to_owned);
        Some(Media { url: format!("{}{path}", self.api_url()), content_type })
    }

    /// All of a list of the messaging API, which pages in its own way.
    pub(crate) async fn messaging_list(
        &self,
        path: &str,
        member: &str,
    ) -> Result<Vec<Value>, ProviderError> {
        let mut all = Vec::new();
        let mut query = "PageSize=100".to_owned();
        for _ in 0..MOST_PAGES {
            let mut page = self.ask_messaging(&format!("{path}?{query}")).await?;
            let next = page.pointer("/meta/next_page_url").and_then(Value::as_str);
            // Only the query: a page is never looked for at another place.
            let next = next.and_then(|url| Some(url.split_once('?')?.1.to_owned()));
            match page.get_mut(member).map(Value::take) {
                Some(Value::Array(list)) => all.extend(list),
                _ => return Err(outcome::odd_list("the answer is no list")),
            }
            let Some(next) = next else {
                return Ok(all);
            };
            query = next;
        }
        Err(outcome::odd_list("the list is too long to be read"))
    }
}

/// Days are all that the filter knows.
fn sent_since(since: Timestamp) -> String {
    let day = format!("{}T00:00:00Z", OffsetDateTime::from(since).date());
    let size = PAGE_SIZE.to_string();
    // The name of the filter is `DateSent>`.
    encode([("DateSent>", day.as_str()), ("PageSize", size.as_str())])
}

/// Whoever asks for the page says the number again: it has no place in a token.
fn token(query: &str, party: &str) -> PageToken {
    let is_party = |piece: &&str| piece.split('=').next() == Some(party);
    let pieces = query.split('&').filter(|piece| !is_party(piece));
    PageToken(pieces.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_no_number() {
        let rest = "DateSent%3E=x&PageSize=100&Page=1&PageToken=PAx";
        for party in ["To", "From"] {
            assert_eq!(token(&format!("{party}=%2B1860&{rest}"), party).0, rest);
        }
    }
}
