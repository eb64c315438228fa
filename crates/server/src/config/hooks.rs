//! The settings of telling other programs, and the subscriptions that stand in a file.

use std::sync::Arc;
use std::time::Duration;

use adapter_hooks::{HookClient, Policy};
use adapter_http::spell_event;
use domain::event::EventKind;
use domain::hook::HookRules;
use domain::job::Backoff;
use domain::message::Direction;
use domain::notify::{Draft, Subscriptions};
use domain::subscription::{Format, HookUrl, SigningSecret, TenantWanted, Wants};
use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;

use super::Reader;

/// Names the file of subscriptions.
const FILE: &str = "SUBSCRIPTIONS_FILE";

/// Everything about telling others.
#[derive(Debug)]
pub(crate) struct HookSettings {
    pub(crate) policy: Policy,
    pub(crate) timeout: Duration,
    pub(crate) orchestrator_timeout: Duration,
    pub(crate) rules: HookRules,
    pub(crate) keep_events: Duration,
    pub(crate) keep_deliveries: Duration,
    /// What stands in `SUBSCRIPTIONS_FILE`; none: there is no such file, and what is configured is
    /// left as it is.
    pub(crate) subscriptions: Option<Vec<Draft>>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    subscription: Vec<Entry>,
}

/// A subscription in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    url: String,
    secret: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    all_statuses: bool,
    workflow_type: Option<String>,
    tenant: Option<String>,
    direction: Option<String>,
    #[serde(default)]
    deliver_when_identified: bool,
    format: Option<String>,
}

impl HookSettings {
    pub(super) fn read(reader: &mut Reader, local: bool) -> Self {
        let networks = reader.optional("HOOK_PRIVATE_NETWORKS", Policy::parse_networks);
        let settings = Self {
            policy: Policy { loopback: local, networks: networks.unwrap_or_default() },
            timeout: reader.span("HOOK_TIMEOUT"),
            orchestrator_timeout: reader.span("HOOK_ORCHESTRATOR_TIMEOUT"),
            rules: HookRules {
                backoff: Backoff {
                    base: reader.span("HOOK_BACKOFF_BASE"),
                    cap: reader.span("HOOK_BACKOFF_CAP"),
                },
                retry_for: reader.span("HOOK_RETRY_FOR"),
                hands: hands(reader),
            },
            keep_events: reader.span("KEEP_EVENTS"),
            keep_deliveries: reader.span("KEEP_DELIVERIES"),
            subscriptions: reader.optional(FILE, read_file),
        };
        settings.check(reader);
        settings.check_subscriptions(reader);
        settings
    }

    /// Who calls subscribers.
    pub(crate) fn client(&self) -> HookClient {
        HookClient::new(adapter_hooks::HookSettings {
            policy: self.policy.clone(),
            timeout: self.timeout,
            orchestrator_timeout: self.orchestrator_timeout,
            spell: Arc::new(spell_event),
        })
    }

    /// What fits by itself and not with the rest.
    fn check(&self, reader: &mut Reader) {
        for (name, timeout) in [
            ("HOOK_TIMEOUT", self.timeout),
            ("HOOK_ORCHESTRATOR_TIMEOUT", self.orchestrator_timeout),
        ] {
            if timeout < Duration::from_millis(10) || timeout > Duration::from_mins(10) {
                reader.problem(name, "must be from 10ms to 10m");
            }
        }
        if self.keep_events < self.rules.retry_for {
            reader.problem("KEEP_EVENTS", "must be at least as long as HOOK_RETRY_FOR");
        }
    }

    /// Each that cannot be used is told, by its place: names and URLs can be secrets where they stand wrong.
    fn check_subscriptions(&self, reader: &mut Reader) {
        let client = self.client();
        for (draft, nth) in self.subscriptions.iter().flatten().zip(1..) {
            if let Err(reason) = Subscriptions::check(draft, &client) {
                reader.problem(FILE, format_args!("subscription {nth}: {reason}"));
            }
        }
    }
}

fn hands(reader: &mut Reader) -> u32 {
    let hands = reader.required("HOOK_CONCURRENCY", |text| match text.parse() {
        Ok(hands @ 1..=1000) => Ok(hands),
        _ => Err("must be a whole number from 1 to 1000"),
    });
    hands.unwrap_or(1)
}

/// Whatever is wrong, no line of the file is repeated: secrets stand in it.
fn read_file(path: &str) -> Result<Vec<Draft>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("names a file that cannot be read: {}", error.kind()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Draft>, String> {
    let file: File = Figment::from(Toml::string(text)).extract().map_err(|error| {
        let place = error.path.join(".");
        let place = if place.is_empty() { place } else { format!(", at {place}") };
        format!(
            "is no TOML file of [[subscription]] tables with name, url, secret and perhaps events, \
             all_statuses, workflow_type, tenant, direction, deliver_when_identified, format{place}"
        )
    })?;
    let drafts =
        file.subscription.into_iter().zip(1..).map(|(entry, nth)| {
            draft(entry).map_err(|reason| format!("subscription {nth}: {reason}"))
        });
    let drafts: Vec<Draft> = drafts.collect::<Result<_, _>>()?;
    let mut names: Vec<_> = drafts.iter().map(|draft| draft.name.trim()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("has two subscriptions of one name".to_owned());
    }
    Ok(drafts)
}

fn draft(entry: Entry) -> Result<Draft, &'static str> {
    fn read<T>(
        word: Option<String>,
        read: fn(&str) -> Option<T>,
        reason: &'static str,
    ) -> Result<Option<T>, &'static str> {
        word.map(|word| read(&word).ok_or(reason)).transpose()
    }
    let kinds = entry.events.iter().map(|word| EventKind::from_word(word));
    let format = "format must be standard or orchestrator";
    Ok(Draft {
        name: entry.name,
        url: HookUrl::new(entry.url),
        wants: Wants {
            kinds: kinds
                .collect::<Option<_>>()
                .ok_or("events must be event types such as message.received")?,
            all_statuses: entry.all_statuses,
            workflow_type: entry.workflow_type,
            tenant: read(entry.tenant, TenantWanted::from_word, "tenant must be known or unknown")?,
            direction: read(
                entry.direction,
                Direction::from_word,
                "direction must be inbound or outbound",
            )?,
            when_identified: entry.deliver_when_identified,
        },
        format: read(entry.format, Format::from_word, format)?.unwrap_or(Format::Standard),
        secret: Some(SigningSecret::new(entry.secret)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
        [[subscription]]
        name = "orchestrator"
        url = "https://orchestrator.example.com/orchestrate/sms-received"
        secret = "whsec_hunter2"
        format = "orchestrator"
        deliver_when_identified = true
    "#;

    #[test]
    fn subscriptions_are_read_from_a_file() {
        let drafts = parse(ONE).unwrap();
        assert_eq!(drafts.len(), 1);
        assert_eq!(
            (drafts[0].name.as_str(), drafts[0].format),
            ("orchestrator", Format::Orchestrator)
        );
        assert!(drafts[0].wants.when_identified && drafts[0].wants.kinds.is_empty());
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_and_no_secret_repeated() {
        for (wrong, told) in [
            (ONE.replace("url =", "uri ="), "TOML"),
            (ONE.replace("true", "\"hunter2\""), "TOML"),
            (
                ONE.replace("\"orchestrator\"\n        deliver", "\"hunter2\"\n        deliver"),
                "format",
            ),
            (format!("{ONE}{ONE}"), "one name"),
            (format!("{ONE}direction = \"hunter2\""), "direction"),
            (format!("{ONE}events = [\"hunter2\"]"), "events"),
            ("hunter2".to_owned(), "TOML"),
        ] {
            let problem = parse(&wrong).unwrap_err();
            assert!(problem.contains(told), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        assert!(read_file("/no/such/hunter2").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn every_subscription_that_cannot_be_used_is_told_by_its_place() {
        let entry = |name: &str, url: &str, secret: &str| {
            format!("[[subscription]]\nname = '{name}'\nurl = '{url}'\nsecret = '{secret}'\n")
        };
        let (url, secret) = ("https://h.example.com", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let entries = [
            entry("one", url, secret),
            entry("two", "http://hunter2.example.com", secret),
            entry("three", url, "hunter2"),
            entry("", url, secret),
            entry("five", url, secret) + "events = ['message.sent']\nformat = 'orchestrator'\n",
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), entries.concat()).unwrap();
        let given = [(FILE, file.path().to_str().unwrap())];
        let mut reader = Reader::new(super::super::source::Source::of(&given));
        HookSettings::read(&mut reader, false);
        let told = reader.problems.join("\n");
        for (problem, beginning) in reader.problems.iter().zip([
            "SUBSCRIPTIONS_FILE subscription 2: url: must begin with https://",
            "SUBSCRIPTIONS_FILE subscription 3: secret: ",
            "SUBSCRIPTIONS_FILE subscription 4: name: ",
            "SUBSCRIPTIONS_FILE subscription 5: events: ",
        ]) {
            assert!(problem.starts_with(beginning), "{told}");
        }
        assert_eq!(reader.problems.len(), 4, "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
