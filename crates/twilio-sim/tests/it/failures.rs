//! Each failure, as a client meets it.

use std::error::Error;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use twilio_sim::{End, Failure, Mix, Simulator};

use crate::caller::{ACCOUNT, Caller, OURS, THEIRS, TOKEN, simulator};

const FORM: [(&str, &str); 3] = [("To", THEIRS), ("From", OURS), ("Body", "Hola")];

async fn failing(failure: Failure) -> (Simulator, Caller) {
    let simulator = simulator().await;
    simulator.set_failure(failure);
    let caller = Caller::new(&simulator);
    (simulator, caller)
}

/// How the only request was over.
fn end(simulator: &Simulator) -> Option<End> {
    let creates = simulator.creates();
    let mut ends = creates.iter().map(|request| request.end.map(|(_, end)| end));
    let end = ends.next().unwrap();
    assert_eq!(ends.next(), None);
    end
}

async fn until_over(simulator: &Simulator) -> End {
    loop {
        if let Some(end) = end(simulator) {
            return end;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn is_without_answer(error: &reqwest::Error) -> bool {
    let source = std::iter::successors(error.source(), |error| (*error).source());
    let text: Vec<_> = source.map(ToString::to_string).collect();
    !error.is_timeout()
        && !error.is_connect()
        && text.iter().any(|text| text.contains("closed") || text.contains("reset"))
}

#[tokio::test]
async fn a_slow_answer_comes_after_the_message_was_made() {
    let wait = Duration::from_millis(40);
    let (simulator, caller) = failing(Failure::AnswerSlowly(wait)).await;
    let started = Instant::now();
    let (reply, made) = tokio::join!(caller.try_create(&FORM), async {
        while simulator.messages().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        started.elapsed()
    });
    assert_eq!(reply.unwrap().status, 201);
    assert!(started.elapsed() >= wait);
    assert!(made < wait, "{made:?}");
}

#[tokio::test]
async fn a_connection_is_cut_with_or_without_a_message() {
    for (failure, made) in [(Failure::DropAfterAccepting, 1), (Failure::DropBeforeAccepting, 0)] {
        let (simulator, caller) = failing(failure).await;
        let error = caller.try_create(&FORM).await.unwrap_err();
        assert!(is_without_answer(&error), "{error:?}");
        assert_eq!(simulator.messages().len(), made);
        assert_eq!(end(&simulator), Some(End::Cut));
        assert_eq!(simulator.creates().iter().next().unwrap().sid.is_some(), made == 1);
    }
}

#[tokio::test]
async fn a_connection_that_was_used_before_is_cut_as_well() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    caller.create(&FORM).await;
    simulator.fail_next(Failure::DropBeforeAccepting);
    let error = caller.try_create(&FORM).await.unwrap_err();
    assert!(is_without_answer(&error), "{error:?}");
    assert_eq!(simulator.creates().count(), 2);
}

#[tokio::test]
async fn a_caller_who_is_kept_waiting_leaves_and_that_is_noticed() {
    for created in [true, false] {
        let (simulator, caller) = failing(Failure::Hang { created }).await;
        let hasty = tokio::time::timeout(Duration::from_millis(50), caller.try_create(&FORM));
        assert!(hasty.await.is_err());
        assert_eq!(until_over(&simulator).await, End::CallerLeft);
        assert_eq!(simulator.messages().len(), usize::from(created));
    }
}

#[tokio::test]
async fn a_500_comes_with_or_without_a_message() {
    for created in [true, false] {
        let (simulator, caller) = failing(Failure::Error500 { created }).await;
        let reply = caller.create(&FORM).await;
        assert_eq!((reply.status, reply.code()), (500, 0));
        assert_eq!(simulator.messages().len(), usize::from(created));
        assert_eq!(end(&simulator), Some(End::Answered(500)));
    }
}

#[tokio::test]
async fn too_many_requests_make_nothing() {
    let retry_after = Some(Duration::from_secs(2));
    for (retry_after, header) in [(retry_after, Some("2")), (None, None)] {
        let (simulator, caller) = failing(Failure::TooMany { retry_after }).await;
        let reply = caller.create(&FORM).await;
        assert_eq!((reply.status, reply.code()), (429, 20429));
        assert_eq!(reply.retry_after.as_deref(), header);
        assert!(simulator.messages().is_empty());
    }
}

#[tokio::test]
async fn any_of_twilios_codes_can_be_the_answer() {
    for (code, status) in [(21610, 400), (20003, 401), (20429, 429), (30034, 400), (99999, 400)] {
        let (simulator, caller) = failing(Failure::Error(code)).await;
        let reply = caller.create(&FORM).await;
        assert_eq!((reply.status, reply.code()), (status, u64::from(code)));
        assert!(simulator.messages().is_empty());
    }
}

#[tokio::test]
async fn a_wrong_form_is_refused_however_the_answer_fails() {
    let (simulator, caller) = failing(Failure::DropAfterAccepting).await;
    assert_eq!(caller.create(&[("To", THEIRS)]).await.code(), 21603);
    assert!(simulator.messages().is_empty());
}

#[tokio::test]
async fn failures_change_while_it_runs_and_differ_by_recipient() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    simulator.set_failure(Failure::Error(21611));
    simulator.set_failure_for("+18605550177", Failure::Answer);
    assert_eq!(caller.text(THEIRS, "Hola").await.code(), 21611);
    assert_eq!(caller.text("+18605550177", "Hola").await.status, 201);
    simulator.set_failure(Failure::Answer);
    assert_eq!(caller.text(THEIRS, "Hola").await.status, 201);
}

#[tokio::test]
async fn the_same_seed_meets_the_same_fate() {
    let codes = async || {
        let simulator = Simulator::builder(ACCOUNT, TOKEN).seed(42).start().await.unwrap();
        let error = |code| (Failure::Error(code), 1);
        simulator.set_failure(Mix::weighted([error(21610), error(21611), (Failure::Answer, 2)]));
        let caller = Caller::new(&simulator);
        let mut codes = Vec::new();
        for _ in 0..20 {
            codes.push(caller.create(&FORM).await.code());
        }
        codes
    };
    let first = codes().await;
    assert_eq!(first, codes().await);
    for code in [0, 21610, 21611] {
        assert!(first.contains(&code), "{first:?}");
    }
}

#[tokio::test]
async fn requests_in_flight_to_one_recipient_are_counted() {
    let (simulator, caller) = failing(Failure::AnswerSlowly(Duration::from_millis(30))).await;
    join_all([
        caller.text(THEIRS, "1"),
        caller.text(THEIRS, "2"),
        caller.text("+18605550177", "3"),
    ])
    .await;
    caller.text("+18605550177", "4").await;
    let creates = simulator.creates();
    assert_eq!(creates.most_in_flight_to(THEIRS), 2);
    assert_eq!(creates.most_in_flight_to("+18605550177"), 1);
    assert_eq!(creates.most_in_flight_per_recipient(), 2);
    assert_eq!(creates.most_in_flight(), 3);
}

#[tokio::test]
async fn a_caller_who_gave_up_and_asks_again_at_once_is_counted_once() {
    let simulator = simulator().await;
    simulator.fail_next(Failure::Hang { created: true });
    let caller = Caller::new(&simulator);
    let hasty = tokio::time::timeout(Duration::from_millis(20), caller.try_create(&FORM));
    assert!(hasty.await.is_err());
    caller.create(&FORM).await;
    while simulator.creates().iter().any(|request| request.end.is_none()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(simulator.creates().most_in_flight_per_recipient(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_texts_a_second_are_nothing() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    let started = Instant::now();
    let numbers = (0..900).map(|nth| format!("+1860555{nth:04}"));
    let replies = stream::iter(numbers).map(|to| {
        let caller = &caller;
        async move { caller.text(&to, "Hola").await.status }
    });
    let answered: Vec<_> = replies.buffer_unordered(16).collect().await;
    let took = started.elapsed();
    println!("900 messages in {took:?}");
    assert!(answered.iter().all(|status| *status == 201));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(simulator.messages().len(), 900);
    assert_eq!(simulator.creates().per_second().iter().sum::<usize>(), 900);
    simulator.settled().await;
}
