//! What is in the database, read now and then and shown as gauges: whoever asks for the metrics
//! never waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ports::{Clock, ConversationTally, StoreError, Survey, Surveyor, Tally};
use domain::timestamp::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::meter;

/// So many surveys are made for one census, which reads all conversations.
const SURVEYS_PER_CENSUS: u64 = 20;

/// Looks into the database now and then.
pub(crate) struct Watch {
    surveyor: Arc<dyn Surveyor>,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<Known>>,
}

/// What was last seen.
#[derive(Default)]
struct Known {
    at: Option<Timestamp>,
    survey: Survey,
    /// Kinds and states that were seen once are shown as 0 afterwards.
    jobs: BTreeMap<(String, &'static str), Tally>,
    census: Vec<ConversationTally>,
}

impl Watch {
    /// Makes the gauges. They show nothing before the first look.
    pub(crate) fn new(surveyor: Arc<dyn Surveyor>, clock: Arc<dyn Clock>) -> Self {
        let known = Arc::<Mutex<Known>>::default();
        make_gauges(&known, &clock);
        Self { surveyor, clock, known }
    }

    /// Looks for ever.
    pub(crate) async fn run(&self, interval: Duration) {
        let mut looks = 0_u64;
        loop {
            let seen = self.look(looks.is_multiple_of(SURVEYS_PER_CENSUS)).await;
            if let Err(error) = seen {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, "the database could not be surveyed");
            }
            looks = looks.wrapping_add(1);
            tokio::time::sleep(interval).await;
        }
    }

    async fn look(&self, with_census: bool) -> Result<(), StoreError> {
        let survey = self.surveyor.survey().await?;
        self.known().see(survey, self.clock.now());
        if with_census {
            let census = self.surveyor.census().await?;
            self.known().census = census;
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn see(&mut self, survey: Survey, at: Timestamp) {
        for gone in self.jobs.values_mut() {
            *gone = Tally::default();
        }
        for jobs in &survey.jobs {
            self.jobs.insert((jobs.kind.clone(), jobs.state.as_str()), jobs.tally);
        }
        self.survey = survey;
        self.at = Some(at);
    }
}

/// One gauge for each thing that is known.
fn make_gauges(known: &Arc<Mutex<Known>>, clock: &Arc<dyn Clock>) {
    let count = |name, about, observe: fn(&Known, &dyn AsyncInstrument<u64>)| {
        let known = known.clone();
        let meter = meter();
        let gauge = meter.u64_observable_gauge(name).with_description(about);
        gauge
            .with_callback(move |gauge| {
                let known = lock(&known);
                if known.at.is_some() {
                    observe(&known, gauge);
                }
            })
            .build();
    };
    count("sms_jobs", "Jobs that are not done", |known, gauge| {
        for (jobs, tally) in &known.jobs {
            gauge.observe(tally.count, &labels(jobs));
        }
    });
    count("sms_ambiguous_messages", "Texts of which nobody knows whether they were sent", {
        |known, gauge| gauge.observe(known.survey.ambiguous.count, &[])
    });
    count("sms_parked_events", "Reports about a SID that no message has", {
        |known, gauge| gauge.observe(known.survey.parked_events.count, &[])
    });
    count("sms_conversations", "Conversations by what is known of them", |known, gauge| {
        for tally in &known.census {
            let tenant = if tally.has_tenant { "known" } else { "unknown" };
            let language = tally.language.as_str();
            let labels = [KeyValue::new("tenant", tenant), KeyValue::new("language", language)];
            gauge.observe(tally.count, &labels);
        }
    });
    make_age_gauges(known, clock);
}

/// The same for ages.
fn make_age_gauges(known: &Arc<Mutex<Known>>, clock: &Arc<dyn Clock>) {
    type Observe = fn(&Known, &dyn Fn(Option<Timestamp>) -> f64, &dyn AsyncInstrument<f64>);
    let age = |name, about, observe: Observe| {
        let (known, clock) = (known.clone(), clock.clone());
        let meter = meter();
        let gauge = meter.f64_observable_gauge(name).with_description(about).with_unit("s");
        gauge
            .with_callback(move |gauge| {
                let (known, now) = (lock(&known), clock.now());
                let age = |since: Option<Timestamp>| {
                    since.map_or(0.0, |since| now.since(since).as_secs_f64())
                };
                if known.at.is_some() {
                    observe(&known, &age, gauge);
                }
            })
            .build();
    };
    age("sms_jobs_oldest", "For how long the oldest job has been so", |known, age, gauge| {
        for (jobs, tally) in &known.jobs {
            gauge.observe(age(tally.oldest), &labels(jobs));
        }
    });
    age("sms_ambiguous_oldest", "For how long the oldest has been so", |known, age, gauge| {
        gauge.observe(age(known.survey.ambiguous.oldest), &[]);
    });
    age("sms_parked_events_oldest", "The age of the oldest", |known, age, gauge| {
        gauge.observe(age(known.survey.parked_events.oldest), &[]);
    });
    age("sms_survey_age", "How old the gauges from the database are", |known, age, gauge| {
        gauge.observe(age(known.at), &[]);
    });
}

fn labels((kind, state): &(String, &'static str)) -> [KeyValue; 2] {
    [KeyValue::new("kind", kind.clone()), KeyValue::new("state", *state)]
}
