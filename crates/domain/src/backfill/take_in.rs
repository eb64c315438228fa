//! What becomes of the messages of a list.

use std::collections::HashMap;

use super::{Backfill, MEDIA_PATIENCE, Trouble, said_at};
use crate::delivery::DeliveryStatus;
use crate::error::causes;
use crate::message::{Direction, InboundMessage, Media, Message, TwilioSid};
use crate::phone::Address;
use crate::ports::{MessageList, ProviderError, ProviderMessage, Recorded, StoreError};
use crate::timestamp::Timestamp;

/// So many messages are looked up at once.
pub(super) const BATCH: usize = 100;

/// What was found in lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages that were in them.
    pub listed: u64,
    /// Messages to us that were not stored.
    pub missed: u64,
    /// Messages whose status was further than we knew.
    pub statuses: u64,
    /// Messages from our number that another program sent.
    pub foreign: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            listed: self.listed.saturating_add(other.listed),
            missed: self.missed.saturating_add(other.missed),
            statuses: self.statuses.saturating_add(other.statuses),
            foreign: self.foreign.saturating_add(other.foreign),
        }
    }

    pub(super) fn count(&mut self, found: &Found<'_>) {
        let (missed, statuses, foreign) = match found {
            Found::Known => (0, 0, 0),
            Found::Missed(..) => (1, 0, 0),
            Found::Further(_) => (0, 1, 0),
            Found::Foreign(..) => (0, 0, 1),
        };
        *self = self.and(Self { listed: 1, missed, statuses, foreign });
    }
}

/// What a message of a list is to us.
pub(super) enum Found<'a> {
    /// Nothing is to be done.
    Known,
    /// A message to us that is not stored, said at that time.
    Missed(&'a ProviderMessage, Timestamp),
    /// A message that is stored, and got further.
    Further(&'a ProviderMessage),
    /// A message from our number that is not stored.
    Foreign(&'a ProviderMessage, Timestamp),
}

impl Found<'_> {
    fn sid(&self) -> Option<&str> {
        match self {
            Self::Known => None,
            Self::Missed(message, _) | Self::Further(message) | Self::Foreign(message, _) => {
                Some(message.sid.as_str())
            }
        }
    }
}

impl Backfill {
    /// Does what is to be done about each, and counts it; what other programs sent is left alone.
    pub(super) async fn settle(
        &self,
        found: &[Found<'_>],
        counts: &mut Tally,
    ) -> Result<(), Trouble> {
        for one in found {
            let done = match one {
                Found::Missed(message, at) => self.receive(message, *at).await,
                Found::Further(message) => self.bring_forward(message).await,
                Found::Known | Found::Foreign(..) => Ok(true),
            };
            match done {
                Ok(true) => counts.count(one),
                // Its webhook was faster.
                Ok(false) => counts.count(&Found::Known),
                // It never will be stored: what comes behind it must not wait for that.
                Err(Trouble::Store(error @ StoreError::Rejected(_))) => {
                    let error = causes(&error);
                    tracing::error!(twilio_sid = one.sid(), error, "a found message is not stored");
                    counts.count(&Found::Known);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }

    /// What each of these is to us, in their order.
    pub(super) async fn sort<'a>(
        &self,
        list: &MessageList,
        listed: &'a [ProviderMessage],
    ) -> Result<Vec<Found<'a>>, Trouble> {
        let sids: Vec<TwilioSid> = listed.iter().map(|message| message.sid.clone()).collect();
        let stored = self.ports.store.messages_with(&sids).await?;
        let by_sid = |message: Message| Some((message.twilio_sid.clone()?, message));
        let stored: HashMap<TwilioSid, Message> = stored.into_iter().filter_map(by_sid).collect();
        let sorted = listed.iter().map(|message| found(message, stored.get(&message.sid), list));
        Ok(sorted.collect())
    }

    /// `false` where it is stored by now.
    async fn receive(&self, message: &ProviderMessage, at: Timestamp) -> Result<bool, Trouble> {
        let inbound = self.inbound(message, at).await?;
        let recorded = self.ports.inbox.receive_missed(inbound, at).await?;
        let Recorded::New { message: id, conversation, .. } = recorded else {
            return Ok(false);
        };
        tracing::warn!(
            message_id = %id,
            conversation_id = %conversation,
            twilio_sid = %message.sid,
            "a text was found that no webhook brought"
        );
        Ok(true)
    }

    async fn bring_forward(&self, message: &ProviderMessage) -> Result<bool, Trouble> {
        self.ports.receipts.receive(message.report(None)).await?;
        tracing::info!(
            twilio_sid = %message.sid,
            status = message.status,
            "a status was found that no callback brought"
        );
        Ok(true)
    }

    /// As a webhook would have brought it.
    async fn inbound(
        &self,
        message: &ProviderMessage,
        at: Timestamp,
    ) -> Result<InboundMessage, Trouble> {
        let from_number = message.from.clone().unwrap_or_default();
        Ok(InboundMessage {
            twilio_sid: message.sid.clone(),
            from: Address::read(&from_number, self.rules.region),
            from_number,
            to_number: message.to.clone().unwrap_or_default(),
            body: message.body.clone(),
            media: self.media(message, at).await?,
            status: DeliveryStatus::of_inbound(&message.status),
            raw: message.raw.clone(),
        })
    }

    /// Its pictures. Its text is worth keeping without them where they are gone, or where nothing else
    /// could be said of them for long: texts behind it wait meanwhile.
    pub(super) async fn media(
        &self,
        message: &ProviderMessage,
        at: Timestamp,
    ) -> Result<Vec<Media>, ProviderError> {
        if message.num_media == 0 {
            return Ok(Vec::new());
        }
        let error = match self.ports.archive.media_of(&message.sid).await {
            Ok(media) => return Ok(media),
            Err(error) => error,
        };
        let is_gone = matches!(error, ProviderError::Rejected(_));
        let is_busy = matches!(error, ProviderError::Unavailable { retry_after: Some(_), .. });
        let is_late = at.after(MEDIA_PATIENCE) < self.ports.clock.now();
        if is_gone || (is_late && !is_busy) {
            let error = causes(&error);
            tracing::warn!(twilio_sid = %message.sid, error, "stored without its media");
            return Ok(Vec::new());
        }
        Err(error)
    }
}

fn found<'a>(
    message: &'a ProviderMessage,
    stored: Option<&Message>,
    list: &MessageList,
) -> Found<'a> {
    let at = said_at(message).unwrap_or(Timestamp::EPOCH);
    match (stored, list.direction) {
        (None, Direction::Inbound) => Found::Missed(message, at),
        (None, Direction::Outbound) => Found::Foreign(message, at),
        (Some(stored), Direction::Outbound) if stored.direction == Direction::Outbound => {
            let further = stored.delivery.advance(stored.direction, &message.report(None));
            if further == stored.delivery { Found::Known } else { Found::Further(message) }
        }
        (Some(_), _) => Found::Known,
    }
}
