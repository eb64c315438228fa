//! A backfill by hand: from a time on, whatever the watermark is.

use std::time::Duration;

use super::take_in::{BATCH, Found};
use super::{Backfill, LONGEST_WAIT, TROUBLE, Tally, Trouble, is_wanted, lists_of, said_at};
use crate::conversation::ConversationId;
use crate::delivery::{DeliveryState, DeliveryStatus};
use crate::history::HistoricMessage;
use crate::message::{Direction, Message, MessageId, Source};
use crate::outbound::{SendState, Sending};
use crate::phone::Address;
use crate::ports::{
    MessageList, PageToken, ProviderError, ProviderMessage, ProviderPage, Sender, StoreError,
};
use crate::text::Text;
use crate::timestamp::Timestamp;

/// How often in a row a page is asked for.
const TRIES: u32 = 8;
/// What is younger may be a message of ours whose SID we do not know yet.
const SURELY_FOREIGN: Duration = Duration::from_hours(24);

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// Nothing older.
    pub since: Timestamp,
    /// Only these numbers; none: all of ours.
    pub numbers: Vec<Text>,
    /// Also what other programs sent from our numbers.
    pub include_sent: bool,
    /// Only count.
    pub dry_run: bool,
}

/// How far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which list.
    pub list: MessageList,
    /// What was found in it so far.
    pub tally: Tally,
    /// Everything that is younger was looked at.
    pub back_to: Option<Timestamp>,
}

/// Why it stopped. To begin again is safe, and quick: what is stored is passed over.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The store does not answer.
    #[error("the database does not answer")]
    Store(#[source] StoreError),
    /// Twilio does not answer.
    #[error("Twilio does not answer as it should")]
    Provider(#[source] ProviderError),
    /// A number was asked for that is not one of ours: the `nth` of them.
    #[error("number {nth} of those asked for is not one of ours")]
    NotOurs {
        /// From 1.
        nth: usize,
    },
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => Self::Store(error),
            Trouble::Provider(error) => Self::Provider(error),
        }
    }
}

impl Backfill {
    /// Reads the lists back to a time, each from its newest message on, and takes in what is
    /// missing; `tell` hears of each page. Watermarks stay as they are.
    ///
    /// # Errors
    /// [`Stopped`]: what was taken in until then is stored.
    pub async fn by_hand(
        &self,
        wanted: &ByHand,
        tell: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Tally, Stopped> {
        let mut all = Tally::default();
        for list in self.lists_wanted(wanted).await? {
            all = all.and(self.read_by_hand(list, wanted, tell).await?);
        }
        Ok(all)
    }

    /// The lists of the numbers that are wanted, each of which must be ours.
    async fn lists_wanted(&self, wanted: &ByHand) -> Result<Vec<MessageList>, Stopped> {
        let mut ours = Vec::new();
        for sender in &self.senders {
            ours.extend(match sender {
                Sender::Number(number) => vec![self.written(number)],
                Sender::Service(service) => {
                    let numbers = self.ports.archive.numbers_of(service).await;
                    numbers.map_err(Stopped::Provider)?
                }
            });
        }
        if wanted.numbers.is_empty() {
            return Ok(lists_of(ours));
        }
        let wanted: Vec<_> = wanted.numbers.iter().map(|number| self.written(number)).collect();
        match wanted.iter().position(|number| !ours.contains(number)) {
            Some(nth) => Err(Stopped::NotOurs { nth: nth + 1 }),
            None => Ok(lists_of(wanted)),
        }
    }

    async fn read_by_hand(
        &self,
        list: MessageList,
        wanted: &ByHand,
        tell: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Tally, Trouble> {
        let since = wanted.since.whole_second();
        let until = self.ports.clock.now().before(self.rules.grace);
        let mut progress = Progress { list, tally: Tally::default(), back_to: None };
        let mut next = None;
        loop {
            let page = self.page(&progress.list, since, next).await?;
            let mut listed = page.messages;
            listed.retain(|one| is_wanted(one, &progress.list, since, until));
            listed.reverse();
            for some in listed.chunks(BATCH) {
                self.by_hand_some(&mut progress, some, wanted).await?;
            }
            progress.back_to = listed.first().and_then(said_at).or(progress.back_to);
            tell(&progress);
            next = page.next;
            if next.is_none() {
                return Ok(progress.tally);
            }
        }
    }

    async fn by_hand_some(
        &self,
        progress: &mut Progress,
        some: &[ProviderMessage],
        wanted: &ByHand,
    ) -> Result<(), Trouble> {
        let found = self.sort(&progress.list, some).await?;
        if wanted.dry_run {
            for one in &found {
                progress.tally.count(one);
            }
            return Ok(());
        }
        if wanted.include_sent {
            for one in &found {
                if let Found::Foreign(message, at) = one {
                    self.take_over(message, *at).await?;
                }
            }
        }
        self.settle(&found, &mut progress.tally).await
    }

    /// Keeps what another program sent from our number.
    async fn take_over(&self, sent: &ProviderMessage, at: Timestamp) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        if at.after(SURELY_FOREIGN) > now {
            return Ok(());
        }
        let original = sent.to.clone().unwrap_or_default();
        let media = self.media(sent, at).await?;
        let queued = DeliveryState::of(DeliveryStatus::Queued);
        let message = Message {
            id: MessageId(self.ports.ids.next()),
            conversation: ConversationId(self.ports.ids.next()),
            direction: Direction::Outbound,
            twilio_sid: Some(sent.sid.clone()),
            from_number: sent.from.clone().unwrap_or_default(),
            to_number: original.clone(),
            content: sent.body.clone(),
            media,
            delivery: queued.advance(Direction::Outbound, &sent.report(None)),
            sending: Some(Sending { state: SendState::Accepted, ..Sending::pending(at) }),
            source: Source::Backfill,
            created_at: at,
            updated_at: now,
        };
        let address = Address::read(&original, self.rules.region);
        let historic = HistoricMessage { message, raw: sent.raw.clone(), address, original };
        self.ports.history.import_message(&historic).await?;
        Ok(())
    }

    /// A page, asked for again for a while where the provider is busy or away.
    async fn page(
        &self,
        list: &MessageList,
        since: Timestamp,
        page: Option<PageToken>,
    ) -> Result<ProviderPage, ProviderError> {
        let mut failures = 0;
        loop {
            let retry_after = match self.ports.archive.list(list, since, page.clone()).await {
                Err(ProviderError::Unavailable { retry_after, .. }) if failures + 1 < TRIES => {
                    retry_after
                }
                answer => return answer,
            };
            failures += 1;
            let wait = TROUBLE.wait(failures, self.ports.chance.next()) / 10;
            let asked = retry_after.unwrap_or_default().min(LONGEST_WAIT);
            self.ports.timer.sleep(wait.max(asked)).await;
        }
    }
}
