//! Whatever the order in which Twilio's words and our own record arrive, a message ends the same.

use domain::conversation::ConversationId;
use domain::delivery::DeliveryStatus;
use domain::job::{ClaimedJob, Job, Ticket};
use domain::message::MessageId;
use domain::origin::Origin;
use domain::outbound::{AfterUnsent, Beginning, NOT_SENT, Outgoing, SendState};
use domain::ports::{NewStatusEvent, SendOutcome};
use domain::testing::fixture::{
    accepted, ambiguous, at, attempt, attempt_end, new_outbound, outbound, refused, status, unsent,
    uuid,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Something that happens to a message whose request is on its way.
#[derive(Debug, Clone)]
enum Fact {
    Report(Box<NewStatusEvent>),
    Record(Box<SendOutcome>),
    QuietPeriodOver,
}

fn job() -> ClaimedJob {
    let (message, conversation) = (MessageId(uuid(40_000_001)), ConversationId(uuid(1)));
    ClaimedJob {
        ticket: Ticket { id: new_outbound(1, "").send_job, attempt: 1 },
        job: Job::Send { message, conversation },
        failures: 0,
        lease_until: at(600),
        origin: Origin::default(),
    }
}

fn on_its_way() -> Outgoing {
    let mut message = outbound(1, ConversationId(uuid(1)));
    message.twilio_sid = None;
    message.sending = Some(domain::outbound::Sending::pending(at(9000)));
    let pending = Outgoing { message, attempts: vec![] };
    let (step, beginning) = pending.begin(&attempt(1, &job()));
    assert_eq!(beginning, Beginning::Go);
    step.after
}

fn after(outgoing: &Outgoing, fact: &Fact) -> Outgoing {
    match fact {
        Fact::Report(event) => outgoing.report(&event.report, event.received_at, &[]).after,
        Fact::Record(outcome) => {
            outgoing.record(&attempt_end(1, &job(), (**outcome).clone()), &[]).after
        }
        Fact::QuietPeriodOver => match outgoing.conclude(at(2000)) {
            Some(step) => step.after,
            None => outgoing.clone(),
        },
    }
}

fn reports() -> impl Strategy<Value = Vec<Fact>> {
    let words = select(vec![
        "accepted",
        "queued",
        "sending",
        "sent",
        "delivered",
        "read",
        "undelivered",
        "failed",
        "partially_delivered",
        "canceled",
        "brand_new",
        "",
    ]);
    let errors = proptest::option::of(select(vec!["30003", "30007", "0"]));
    let report = (0..100_u32, words, errors).prop_map(|(second, word, error)| {
        let mut event = status(second, 1, word, error);
        event.report.message = Some(MessageId(uuid(40_000_001)));
        Fact::Report(Box::new(event))
    });
    vec(report, 0..8)
}

/// The facts, repeated at random and in two orders.
fn histories() -> impl Strategy<Value = (Vec<Fact>, Vec<Fact>)> {
    let outcome = select(vec![accepted(1), ambiguous(), unsent(), refused("21610")]);
    (reports(), outcome, any::<bool>()).prop_flat_map(|(reports, outcome, concluded)| {
        let mut facts = reports;
        facts.push(Fact::Record(Box::new(outcome)));
        if concluded {
            facts.push(Fact::QuietPeriodOver);
        }
        let repeated: Vec<Fact> = facts.iter().cloned().chain(facts.iter().cloned()).collect();
        (Just(facts).prop_shuffle(), Just(repeated).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn once_twilio_has_spoken_any_order_and_repetition_ends_the_same(
        (first, second) in histories(),
    ) {
        let end = |facts: &[Fact]| facts.iter().fold(on_its_way(), |now, fact| after(&now, fact));
        let (one, other) = (end(&first), end(&second));
        let spoken = first.iter().any(|fact| match fact {
            Fact::Report(_) => true,
            Fact::Record(outcome) => matches!(**outcome, SendOutcome::Accepted(_)),
            Fact::QuietPeriodOver => false,
        });
        if spoken {
            prop_assert_eq!(one.state(), SendState::Accepted);
            prop_assert_eq!(one.state(), other.state());
            prop_assert_eq!(&one.message.twilio_sid, &other.message.twilio_sid);
            prop_assert_eq!(one.message.shown(), other.message.shown());
        } else {
            prop_assert!(matches!(one.state(), state if state != SendState::Accepted));
            prop_assert_eq!(one.message.twilio_sid, None);
        }
    }

    #[test]
    fn a_message_that_may_exist_is_never_pending_again((facts, _) in histories()) {
        let mut now = on_its_way();
        let mut doubtful = false;
        for fact in &facts {
            doubtful |= match fact {
                Fact::Report(_) => true,
                Fact::Record(outcome) => {
                    matches!(**outcome, SendOutcome::Accepted(_) | SendOutcome::Ambiguous(_))
                }
                Fact::QuietPeriodOver => false,
            };
            now = after(&now, fact);
            if doubtful {
                prop_assert_ne!(now.state(), SendState::Pending);
                prop_assert!(now.revive(at(3000), at(9000)).is_none());
            }
        }
    }
}

#[test]
fn a_message_is_tried_again_only_after_it_was_proven_unsent() {
    let mut end = attempt_end(1, &job(), unsent());
    end.if_unsent = AfterUnsent::RetryAt(at(9));
    let now = on_its_way().record(&end, &[]).after;
    assert_eq!(now.state(), SendState::Pending);
    let again = now.begin(&attempt(2, &job()));
    assert_eq!(again.1, Beginning::Go);
    for outcome in [accepted(1), ambiguous(), refused("21610")] {
        let now = on_its_way().record(&attempt_end(1, &job(), outcome), &[]).after;
        assert_eq!(now.begin(&attempt(2, &job())).1, Beginning::Over);
    }
    assert_eq!(on_its_way().begin(&attempt(2, &job())).1, Beginning::Doubtful);
}

#[test]
fn a_verdict_of_ours_is_told_until_twilio_speaks() {
    let lost = on_its_way().record(&attempt_end(1, &job(), ambiguous()), &[]).after;
    assert_eq!(lost.message.shown().status, DeliveryStatus::Unknown);
    let given_up = lost.conclude(at(2000)).unwrap().after;
    let told = given_up.message.shown();
    assert_eq!((told.status, told.error_code.as_deref()), (DeliveryStatus::Failed, Some(NOT_SENT)));
    let step = given_up.report(&status(1, 1, "sent", None).report, at(3000), &[]);
    assert!(step.overturned);
    assert_eq!(step.after.message.shown().status, DeliveryStatus::Sent);
}

#[test]
fn an_end_that_is_recorded_again_does_not_touch_the_next_attempt() {
    let mut end = attempt_end(1, &job(), unsent());
    end.if_unsent = AfterUnsent::RetryAt(at(9));
    let (step, beginning) = on_its_way().record(&end, &[]).after.begin(&attempt(2, &job()));
    assert_eq!(beginning, Beginning::Go);
    for outcome in [unsent(), ambiguous(), refused("21610")] {
        let again = step.after.record(&attempt_end(1, &job(), outcome), &[]);
        assert_eq!(again.after, step.after);
    }
    assert!(step.after.cancel(at(20)).is_none());
}
