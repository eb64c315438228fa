//! What is wrong with what is so, and how to mend it.

use adapter_twilio::{NumberSettings, ServiceSettings};
use domain::timestamp::Timestamp;
use std::time::Duration;

use super::facts::{Account, DatabaseFacts, Facts, TwilioFacts};

/// Clocks that differ by more are told. Half of the time that Twilio's lists overlap is far more.
const LARGEST_SKEW: Duration = Duration::from_secs(30);

/// One thing that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// What is so.
    pub(super) what: String,
    /// What to do.
    pub(super) mend: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts are lost, or late, or not sent.
    Wrong,
    /// Worth knowing.
    Note,
}

/// Everything that is to be told. Pure: the rules are tested without a database and without Twilio.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    found.of_settings(facts);
    found.of_database(&facts.database);
    found.of_twilio(facts);
    found.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn wrong(&mut self, what: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { kind: Kind::Wrong, what: what.into(), mend: mend.into() });
    }

    fn note(&mut self, what: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { kind: Kind::Note, what: what.into(), mend: mend.into() });
    }

    fn of_settings(&mut self, facts: &Facts) {
        if !facts.has_auth_token {
            self.wrong(
                "TWILIO_AUTH_TOKEN is not set: every webhook is refused.",
                "Set it to the auth token on the first page of Twilio's console.",
            );
        }
        let webhook = facts.webhook();
        if facts.is_loopback && !facts.is_simulated && facts.twilio.is_some() {
            self.wrong(
                format!("Twilio cannot reach {webhook}: that is this machine only."),
                "Set PUBLIC_BASE_URL to what Twilio can call, https://sms.example.com.",
            );
        } else if !facts.is_loopback && webhook.starts_with("http://") {
            self.wrong(
                "PUBLIC_BASE_URL begins with http://: texts would travel unencrypted.",
                "Set it to an https:// URL, and the webhook in Twilio's console too.",
            );
        }
    }

    fn of_database(&mut self, database: &DatabaseFacts) {
        match database {
            DatabaseFacts::Unusable(cause) => self.wrong(
                format!("The database cannot be used: {cause}."),
                "Look at DATABASE_URL and DATABASE_SCHEMA, and whether the server runs and lets this \
                 machine in.",
            ),
            DatabaseFacts::InUse => self.note(
                "The service is running on this database file, so that its tables were not looked at.",
                "Stop the service and ask again to have them looked at.",
            ),
            DatabaseFacts::Answers { pending, unusable_way } => {
                if let Some(way) = unusable_way {
                    self.wrong(
                        format!("{way}."),
                        "Set DATABASE_URL accordingly: the service does not start as it is.",
                    );
                }
                if !pending.is_empty() {
                    self.wrong(
                        format!("The tables are not up to date: {}.", pending.join(", ")),
                        "Run `sms-foundation migrate`, or start the service with MIGRATE_ON_START=on.",
                    );
                }
            }
        }
    }

    fn of_twilio(&mut self, facts: &Facts) {
        match &facts.twilio {
            None => self.note(
                "No account and number are set: nothing is sent, and nothing is looked for at Twilio.",
                "Set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER.",
            ),
            Some(TwilioFacts::NoClient(cause)) => {
                self.wrong(format!("Twilio cannot be asked: {cause}."), "Mend that setting.");
            }
            Some(TwilioFacts::Refused) => self.wrong(
                "Twilio refuses the account or its token.",
                "Compare TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN with the first page of Twilio's \
                 console; both must be of the same account.",
            ),
            Some(TwilioFacts::Silent(cause)) => self.wrong(
                format!("Twilio does not answer as it should: {cause}."),
                "Look at TWILIO_API_BASE_URL, and whether this machine reaches it.",
            ),
            Some(TwilioFacts::Answers(account)) => self.of_account(facts, account),
        }
    }

    fn of_account(&mut self, facts: &Facts, account: &Account) {
        let Account { state, our_clock, numbers, own_services, services } = account;
        if !state.status.is_empty() && state.status != "active" {
            self.wrong(
                format!("Twilio's account is {}: nothing is sent.", state.status),
                "Twilio's console says why.",
            );
        }
        if state.kind == "Trial" {
            self.note(
                "It is a trial account: texts go to verified numbers only, with a few words of \
                 Twilio's before each.",
                "Upgrade it in Twilio's console.",
            );
        }
        if let Some(clock) = state.clock {
            self.of_clock(clock, *our_clock);
        }
        for (sid, service) in own_services {
            if service.is_none() {
                self.wrong(
                    format!("The account has no Messaging Service {sid}."),
                    "Correct TWILIO_PHONE_NUMBER, or the account.",
                );
            }
        }
        for (number, settings) in numbers {
            match settings {
                Some(settings) => self.of_number(facts, settings, services),
                None => self.wrong(
                    format!("{number} is not a number of this account."),
                    "Correct TWILIO_PHONE_NUMBER (+ and country code), or TWILIO_ACCOUNT_SID.",
                ),
            }
        }
    }

    fn of_clock(&mut self, twilios: Timestamp, ours: Timestamp) {
        let (ahead, behind) = (ours.since(twilios), twilios.since(ours));
        let (skew, word) = if ahead > behind { (ahead, "ahead") } else { (behind, "behind") };
        if skew > LARGEST_SKEW {
            self.wrong(
                format!("This machine's clock is {} s {word} of Twilio's.", skew.as_secs()),
                "Let the machine follow a time server (chrony, systemd-timesyncd).",
            );
        }
    }

    fn of_number(&mut self, facts: &Facts, number: &NumberSettings, services: &[ServiceSettings]) {
        if !number.takes_texts {
            self.wrong(
                format!("{} cannot take texts.", number.number),
                "Choose a number with the capability SMS in Twilio's console.",
            );
        }
        let service = services.iter().find(|service| service.numbers.contains(&number.number));
        match service.filter(|service| !service.defers_to_numbers) {
            Some(service) => self.of_service(facts, service, number),
            None => self.of_own_webhook(facts, number),
        }
    }

    /// The number's own settings count.
    fn of_own_webhook(&mut self, facts: &Facts, number: &NumberSettings) {
        if !number.sms_application_sid.is_empty() {
            return self.wrong(
                format!(
                    "The TwiML application {} takes the texts to {}, and its webhook counts for \
                     nothing.",
                    number.sms_application_sid, number.number
                ),
                format!(
                    "In the number's settings choose Webhook instead, and set {}.",
                    facts.asked()
                ),
            );
        }
        let webhook = Called {
            whose: number.number.clone(),
            url: &number.sms_url,
            method: &number.sms_method,
            fallback: &number.sms_fallback_url,
        };
        self.of_webhook(facts, &webhook);
    }

    /// The number is in a Messaging Service whose settings count instead.
    fn of_service(&mut self, facts: &Facts, service: &ServiceSettings, number: &NumberSettings) {
        if !facts.is_ours(&service.inbound_url) {
            let takes = if service.inbound_url.is_empty() {
                "drops the texts"
            } else {
                "sends the texts elsewhere that come"
            };
            return self.wrong(
                format!("The Messaging Service {} {takes} to {}.", service.sid, number.number),
                format!(
                    "In its Integration settings choose \"Defer to sender's webhook\", or \"Send a \
                     webhook\" with {}.",
                    facts.asked()
                ),
            );
        }
        let webhook = Called {
            whose: format!("the Messaging Service {}", service.sid),
            url: &service.inbound_url,
            method: &service.inbound_method,
            fallback: &service.fallback_url,
        };
        self.of_webhook(facts, &webhook);
    }

    fn of_webhook(&mut self, facts: &Facts, webhook: &Called<'_>) {
        let Called { whose, url, method, fallback } = webhook;
        let set = format!("Set \"A message comes in\" of {whose} to {}.", facts.asked());
        if url.is_empty() {
            return self.wrong(format!("Nothing is called when a text comes to {whose}."), set);
        }
        if !facts.is_ours(url) {
            let what = match host(url) {
                "webhooks.twilio.com" => {
                    format!("A Studio flow takes the texts to {whose}: this service gets none.")
                }
                "demo.twilio.com" => {
                    format!("Twilio's demonstration answers the texts to {whose}.")
                }
                _ => format!("The texts to {whose} go to {}.", without_fragment(url)),
            };
            return self.wrong(what, set);
        }
        if !method.eq_ignore_ascii_case("POST") {
            self.wrong(format!("The webhook of {whose} is called with {method}."), set);
        }
        if fallback.is_empty() && !has_retries(url) {
            self.wrong(
                format!(
                    "A text to {whose} that this service cannot take at once (a restart, a database \
                     that is away) is not sent again: it is found minutes later."
                ),
                format!(
                    "Write {}#rc=3&rp=all&ct=2000&rt=4000 as the webhook, so that Twilio tries \
                     again, or set the same URL as the fallback.",
                    facts.webhook()
                ),
            );
        }
    }
}

/// What Twilio calls when a text comes in.
struct Called<'a> {
    whose: String,
    url: &'a str,
    method: &'a str,
    fallback: &'a str,
}

impl Facts {
    fn webhook(&self) -> &str {
        self.webhooks.first().map_or("", String::as_str)
    }

    /// What to write in Twilio's console.
    fn asked(&self) -> String {
        format!("{} (HTTP POST)", self.webhook())
    }

    /// Whether that URL leads here: with any query and fragment, with or without a slash at its end.
    fn is_ours(&self, url: &str) -> bool {
        let url = without_fragment(url);
        let path = url.split_once('?').map_or(url, |(path, _)| path);
        let path = path.strip_suffix('/').unwrap_or(path);
        self.webhooks.iter().any(|webhook| webhook == path)
    }
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// Twilio reads its connection overrides from the fragment: `#rc=3&rp=all`. Only a retry policy for
/// more than broken connections lets a 503 be tried again.
fn has_retries(url: &str) -> bool {
    let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
    let mut overrides = fragment.split('&').filter_map(|one| one.split_once('='));
    let policy = overrides.clone().find(|(name, _)| *name == "rp").map(|(_, policy)| policy);
    let count = overrides.find(|(name, _)| *name == "rc").map_or("1", |(_, count)| count);
    let is_wide = policy
        .is_some_and(|policy| policy.split(',').any(|one| ["all", "5xx"].contains(&one.trim())));
    is_wide && count != "0"
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use adapter_twilio::AccountState;

    use super::*;

    const WEBHOOK: &str = "https://sms.example.com/webhook/twilio/sms";
    const OURS: &str = "+18605550100";

    fn account() -> Account {
        let number = NumberSettings {
            number: OURS.into(),
            takes_texts: true,
            sms_url: format!("{WEBHOOK}#rc=3&rp=all"),
            sms_method: "POST".into(),
            sms_fallback_url: String::new(),
            sms_application_sid: String::new(),
        };
        Account {
            state: AccountState {
                status: "active".into(),
                kind: "Full".into(),
                clock: Some(Timestamp::EPOCH),
            },
            our_clock: Timestamp::EPOCH,
            numbers: vec![(OURS.into(), Some(number))],
            own_services: Vec::new(),
            services: Vec::new(),
        }
    }

    fn healthy() -> Facts {
        Facts {
            webhooks: vec![WEBHOOK.into()],
            is_loopback: false,
            is_simulated: false,
            has_auth_token: true,
            database: DatabaseFacts::Answers { pending: Vec::new(), unusable_way: None },
            twilio: Some(TwilioFacts::Answers(Box::new(account()))),
        }
    }

    /// What is told after one change of what is so: whether it is wrong, and a word of it.
    fn told(change: impl FnOnce(&mut Facts), expected: &[(Kind, &str)]) {
        let mut facts = healthy();
        change(&mut facts);
        let found = check(&facts);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, (kind, words)) in found.iter().zip(expected) {
            assert_eq!(finding.kind, *kind, "{finding:?}");
            assert!(finding.what.contains(words), "{words} in {finding:?}");
            assert!(!finding.mend.is_empty(), "{finding:?}");
        }
    }

    fn wrong(change: impl FnOnce(&mut Facts), words: &str) {
        told(change, &[(Kind::Wrong, words)]);
    }

    fn with_account(change: impl FnOnce(&mut Account)) -> impl FnOnce(&mut Facts) {
        |facts| {
            if let Some(TwilioFacts::Answers(account)) = &mut facts.twilio {
                change(account);
            }
        }
    }

    fn with_number(change: impl FnOnce(&mut NumberSettings)) -> impl FnOnce(&mut Facts) {
        with_account(|account| {
            if let Some((_, Some(number))) = account.numbers.first_mut() {
                change(number);
            }
        })
    }

    #[test]
    fn nothing_is_told_where_all_is_well() {
        told(|_| {}, &[]);
        told(with_number(|number| number.sms_url = format!("{WEBHOOK}/?a=1#rp=all")), &[]);
        told(
            with_number(|number| {
                number.sms_url = WEBHOOK.into();
                number.sms_fallback_url = WEBHOOK.into();
            }),
            &[],
        );
        told(with_number(|number| number.sms_url = format!("{WEBHOOK}#rp=4xx,5xx&rc=2")), &[]);
    }

    #[test]
    fn settings_are_looked_at() {
        wrong(|facts| facts.has_auth_token = false, "every webhook is refused");
        wrong(|facts| facts.is_loopback = true, "cannot reach");
        told(|facts| (facts.is_loopback, facts.is_simulated) = (true, true), &[]);
        wrong(
            |facts| {
                facts.webhooks = vec![WEBHOOK.replace("https", "http")];
                with_number(|number| number.sms_url = number.sms_url.replace("https", "http"))(
                    facts,
                );
            },
            "unencrypted",
        );
        told(|facts| facts.twilio = None, &[(Kind::Note, "nothing is sent")]);
    }

    #[test]
    fn the_database_is_looked_at() {
        let answers = |pending: &[&str], way: Option<&str>| DatabaseFacts::Answers {
            pending: pending.iter().map(|name| (*name).to_owned()).collect(),
            unusable_way: way.map(str::to_owned),
        };
        wrong(|facts| facts.database = answers(&["2026_tenants"], None), "2026_tenants");
        wrong(
            |facts| facts.database = answers(&[], Some("a pooler in transaction mode")),
            "transaction mode",
        );
        wrong(|facts| facts.database = DatabaseFacts::Unusable("refused".into()), "refused");
        told(|facts| facts.database = DatabaseFacts::InUse, &[(Kind::Note, "is running")]);
    }

    #[test]
    fn the_account_is_looked_at() {
        wrong(|facts| facts.twilio = Some(TwilioFacts::Refused), "refuses the account");
        wrong(|facts| facts.twilio = Some(TwilioFacts::Silent("timeout".into())), "timeout");
        wrong(|facts| facts.twilio = Some(TwilioFacts::NoClient("AC".into())), "cannot be asked");
        wrong(with_account(|account| account.state.status = "suspended".into()), "suspended");
        told(
            with_account(|account| account.state.kind = "Trial".into()),
            &[(Kind::Note, "trial account")],
        );
        wrong(
            with_account(|account| account.numbers = vec![(OURS.into(), None)]),
            "not a number of this account",
        );
        wrong(
            with_account(|account| account.own_services = vec![("MG1".into(), None)]),
            "no Messaging Service MG1",
        );
        wrong(with_number(|number| number.takes_texts = false), "cannot take texts");
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let skewed = |ours: u64, twilios: u64| {
            let at = |second| Timestamp::EPOCH.after(Duration::from_secs(second));
            with_account(move |account| {
                (account.our_clock, account.state.clock) = (at(ours), Some(at(twilios)));
            })
        };
        told(skewed(100, 130), &[]);
        wrong(skewed(100, 131), "31 s behind");
        wrong(skewed(700, 100), "600 s ahead");
    }

    #[test]
    fn the_webhook_of_a_number_is_looked_at() {
        let url = |url: &str| {
            let url = url.to_owned();
            with_number(move |number| number.sms_url = url)
        };
        wrong(url(""), "Nothing is called");
        wrong(url("https://old.example.com/webhook/twilio/sms#rp=all"), "go to https://old");
        wrong(url("https://sms.example.com/sms"), "go to https://sms.example.com/sms");
        wrong(url("https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1"), "Studio flow");
        wrong(url("https://demo.twilio.com/welcome/sms/reply/"), "demonstration");
        for unretried in ["", "#rc=3", "#rp=ct", "#rp=all&rc=0"] {
            wrong(url(&format!("{WEBHOOK}{unretried}")), "is not sent again");
        }
        wrong(with_number(|number| number.sms_method = "GET".into()), "called with GET");
        wrong(with_number(|number| number.sms_application_sid = "AP1".into()), "AP1 takes");
    }

    #[test]
    fn a_messaging_service_may_stand_before_the_number() {
        let service = |url: &str, defers| {
            let service = ServiceSettings {
                sid: "MG1".into(),
                inbound_url: url.into(),
                inbound_method: "POST".into(),
                fallback_url: "https://h/".into(),
                defers_to_numbers: defers,
                numbers: vec![OURS.into()],
            };
            with_account(move |account| account.services = vec![service])
        };
        wrong(service("", false), "MG1 drops");
        wrong(service("https://old.example.com/", false), "elsewhere");
        told(service(WEBHOOK, false), &[]);
        told(service("", true), &[]);
    }
}
