//! The list of messages: filters and pages.

use std::str::FromStr;

use adapter_twilio::form::Form;
use serde_json::{Value, json};
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time};

use crate::account::Account;
use crate::api::error::ApiError;
use crate::api::order::address;
use crate::message::Message;
use crate::request::encoded;

const PAGE_SIZE: usize = 50;
const LARGEST_PAGE: usize = 1_000;

/// One page, newest first.
pub(crate) fn page(account: &Account, query: &str) -> Result<Value, ApiError> {
    let question = Question::parse(query)?;
    let ledger = account.ledger();
    let wanted = |message: &&Message| question.filter.lets_through(message);
    let one_more = question.page_size + 1;
    let found: Vec<&Message> = if let Some(sid) = question.after.as_deref() {
        let older = ledger.before(sid).ok_or_else(|| ApiError::of(20001, "PageToken"))?;
        older.rev().filter(wanted).take(one_more).collect()
    } else {
        let skipped = question.page.saturating_mul(question.page_size);
        ledger.messages().rev().filter(wanted).skip(skipped).take(one_more).collect()
    };
    Ok(question.answer(&account.sid, &found))
}

/// What is asked for.
struct Question {
    filter: Filter,
    /// The filters as they were given, encoded again.
    filter_query: String,
    page: usize,
    page_size: usize,
    /// The last message of the page before.
    after: Option<String>,
}

impl Question {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let form = Form::parse(query.as_bytes());
        let fields = form.fields().iter().map(|field| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            (text(&field.name), text(&field.value))
        });
        let mut question = Self {
            filter: Filter::default(),
            filter_query: String::new(),
            page: 0,
            page_size: PAGE_SIZE,
            after: None,
        };
        let mut filters = Vec::new();
        for (name, value) in fields.filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "Page" => question.page = number(&name, &value)?,
                "PageSize" => {
                    question.page_size = number(&name, &value)?.clamp(1, LARGEST_PAGE);
                }
                "PageToken" => {
                    let sid = value.strip_prefix("PA");
                    question.after = Some(sid.unwrap_or(&value).to_owned());
                }
                _ if question.filter.read(&name, &value)? => filters.push((name, value)),
                _ => {}
            }
        }
        question.filter_query = encoded(&filters);
        Ok(question)
    }

    /// `found` holds one message more than the page where there is another page.
    fn answer(&self, account_sid: &str, found: &[&Message]) -> Value {
        let shown = found.get(..self.page_size).unwrap_or(found);
        let has_more = found.len() > self.page_size;
        let last = shown.last().filter(|_| has_more);
        let start = self.page.saturating_mul(self.page_size);
        let token = |message: &&Message| format!("&PageToken=PA{}", message.sid);
        let uri = |page: usize, token: &str| self.uri(account_sid, page, token);
        let own_token = self.after.as_ref().map(|sid| format!("&PageToken=PA{sid}"));
        json!({
            "messages": shown.iter().map(|message| message.json(account_sid)).collect::<Vec<_>>(),
            "page": self.page,
            "page_size": self.page_size,
            "start": start,
            "end": (start + shown.len()).saturating_sub(1),
            "uri": uri(self.page, own_token.as_deref().unwrap_or_default()),
            "first_page_uri": uri(0, ""),
            "next_page_uri": last.map(|message| uri(self.page + 1, &token(message))),
            // Twilio's token of the way back is not told here: pages are read forwards.
            "previous_page_uri": self.page.checked_sub(1).map(|page| uri(page, "")),
        })
    }

    fn uri(&self, account_sid: &str, page: usize, token: &str) -> String {
        let and = if self.filter_query.is_empty() { "" } else { "&" };
        format!(
            "/2010-04-01/Accounts/{account_sid}/Messages.json?{}{and}PageSize={}&Page={page}{token}",
            self.filter_query, self.page_size
        )
    }
}

fn number(name: &str, value: &str) -> Result<usize, ApiError> {
    value.parse().map_err(|_| ApiError::of(20001, name))
}

/// Which messages are wanted. A filter of dates leaves out what was not sent yet.
#[derive(Default)]
struct Filter {
    to: Option<String>,
    from: Option<String>,
    sent_on: Option<Sent>,
    sent_until: Option<Sent>,
    sent_since: Option<Sent>,
}

impl Filter {
    /// `false` where there is no filter of that name.
    fn read(&mut self, name: &str, value: &str) -> Result<bool, ApiError> {
        let date = || value.parse().map_err(|UnknownDate| ApiError::of(20001, name));
        match name {
            "To" => self.to = Some(address(value)),
            "From" => self.from = Some(address(value)),
            "DateSent" => self.sent_on = Some(date()?),
            "DateSent<" => self.sent_until = Some(date()?),
            "DateSent>" => self.sent_since = Some(date()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn lets_through(&self, message: &Message) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        let sent = |wanted: &Option<Sent>, holds: fn(&Sent, OffsetDateTime) -> bool| {
            wanted.as_ref().is_none_or(|date| message.sent_at().is_some_and(|at| holds(date, at)))
        };
        is(&self.to, Some(&message.to))
            && is(&self.from, message.from.as_deref())
            && sent(&self.sent_on, |date, at| date.first_day == at.date())
            && sent(&self.sent_until, |date, at| at < date.end)
            && sent(&self.sent_since, |date, at| at >= date.begin)
    }
}

/// A day, or a moment to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    first_day: Date,
    begin: OffsetDateTime,
    /// The first moment behind it.
    end: OffsetDateTime,
}

#[derive(Debug, PartialEq, Eq)]
struct UnknownDate;

impl Sent {
    fn day(date: Date) -> Self {
        let begin = PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc();
        Self { first_day: date, begin, end: begin.saturating_add(Duration::DAY) }
    }

    fn moment(at: OffsetDateTime) -> Self {
        let begin = at.to_offset(time::UtcOffset::UTC);
        Self { first_day: begin.date(), begin, end: begin.saturating_add(Duration::SECOND) }
    }
}

/// Reads `2026-01-02`, `2026-01-02T03:04:05Z`, `2026-01-02 03:04:05.000`, and RFC 2822.
impl FromStr for Sent {
    type Err = UnknownDate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = format_description!("[year]-[month]-[day]");
        let plain =
            format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");
        if let Ok(date) = Date::parse(text, day) {
            return Ok(Self::day(date));
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| OffsetDateTime::parse(text, &Rfc2822))
            .or_else(|_| PrimitiveDateTime::parse(text, plain).map(PrimitiveDateTime::assume_utc));
        moment.map(Self::moment).map_err(|_| UnknownDate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn dates_are_read_in_the_forms_that_twilio_takes() {
        let at = Sent::moment(datetime!(2026-01-02 03:04:05 UTC));
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T05:04:05+02:00",
            "2026-01-02 03:04:05.000",
            "Fri, 02 Jan 2026 03:04:05 +0000",
        ] {
            assert_eq!(text.parse(), Ok(at), "{text}");
        }
        assert_eq!("yesterday".parse::<Sent>(), Err(UnknownDate));
    }

    #[test]
    fn a_day_goes_from_midnight_to_midnight() {
        let day: Sent = "2026-01-02".parse().unwrap();
        assert_eq!(day.begin, datetime!(2026-01-02 00:00 UTC));
        assert_eq!(day.end, datetime!(2026-01-03 00:00 UTC));
    }

    #[test]
    fn filters_are_kept_for_the_next_page() {
        let question = Question::parse("To=%2B1415&DateSent%3E=2026-01-02&PageSize=2&Else=1");
        let uri = question.ok().unwrap().uri("AC1", 1, "&PageToken=PASM1");
        assert_eq!(
            uri,
            "/2010-04-01/Accounts/AC1/Messages.json\
             ?To=%2B1415&DateSent%3E=2026-01-02&PageSize=2&Page=1&PageToken=PASM1"
        );
    }

    #[test]
    fn a_question_that_cannot_be_read_is_refused() {
        let check = |query: &str| assert_eq!(Question::parse(query).err().unwrap().code, 20001);
        check("PageSize=x");
        check("Page=-1");
        check("DateSent=2026-13-01");
    }
}
