//! A stand-in for Twilio.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::message::TwilioSid;
use domain::ports::{
    Provider, ProviderError, ProviderFault, ProviderMessage, SendOrder, SendOutcome, Sought,
    UnsentReason,
};
use domain::testing::fixture;
use tokio::sync::Semaphore;

/// Answers every order the same, at once or when it is let.
pub(crate) struct FakeProvider {
    answer: fn(u32) -> SendOutcome,
    leave: Semaphore,
    orders: AtomicU32,
}

impl FakeProvider {
    /// One that answers at once.
    pub(crate) fn answering(answer: fn(u32) -> SendOutcome) -> Self {
        Self { answer, leave: Semaphore::new(1000), orders: AtomicU32::new(0) }
    }

    /// One that takes orders and answers them when it is let.
    pub(crate) fn silent(answer: fn(u32) -> SendOutcome) -> Self {
        Self { leave: Semaphore::new(0), ..Self::answering(answer) }
    }

    /// Lets it answer so many orders.
    pub(crate) fn let_answer(&self, orders: usize) {
        self.leave.add_permits(orders);
    }

    /// How many orders it has had.
    pub(crate) fn orders(&self) -> u32 {
        self.orders.load(Ordering::SeqCst)
    }
}

/// Takes the message.
pub(crate) fn accept(order: u32) -> SendOutcome {
    fixture::accepted(900 + order)
}

/// Refuses it for good.
pub(crate) fn refuse(_: u32) -> SendOutcome {
    SendOutcome::Refused(fault(Some(400), "21610"))
}

/// Is too busy.
pub(crate) fn be_busy(_: u32) -> SendOutcome {
    let (reason, fault) = (UnsentReason::Busy, fault(Some(429), "20429"));
    SendOutcome::Unsent { reason, fault, retry_after: None }
}

/// Says nothing.
pub(crate) fn hang_up(_: u32) -> SendOutcome {
    SendOutcome::Ambiguous(fault(None, "timeout"))
}

fn fault(status: Option<u16>, code: &str) -> ProviderFault {
    ProviderFault { status, code: Some(code.to_owned()), message: None }
}

#[async_trait]
impl Provider for FakeProvider {
    async fn send(&self, _: &SendOrder) -> SendOutcome {
        let order = self.orders.fetch_add(1, Ordering::SeqCst) + 1;
        self.leave.acquire().await.unwrap().forget();
        (self.answer)(order)
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(15)
    }

    async fn find_sent(&self, _: &Sought) -> Result<Vec<ProviderMessage>, ProviderError> {
        Ok(Vec::new())
    }

    async fn fetch(&self, _: &TwilioSid) -> Result<Option<ProviderMessage>, ProviderError> {
        Ok(None)
    }

    async fn check(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    fn explain(&self, code: &str) -> Option<&'static str> {
        (code == "21610").then_some("The recipient has asked not to be texted (STOP).")
    }
}
