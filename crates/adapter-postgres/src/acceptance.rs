//! Taking a message in that is to be sent.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::Conversation;
use domain::job::NewJob;
use domain::message::Message;
use domain::outbound::Outgoing;
use domain::ports::{Acceptance, ConversationKey, NewOutbound};
use futures_util::try_join;

use crate::idempotency::Known;
use crate::locks::hold_key;
use crate::rows::MessageRow;
use crate::schema::sms_messages;
use crate::{conversations, idempotency, jobs, outgoing};

/// Writes it with its conversation, its job and its key, or says why not.
pub(crate) async fn accept(
    conn: &mut AsyncPgConnection,
    new: &NewOutbound,
) -> QueryResult<Acceptance> {
    let taken = conn.transaction(async |conn| take_in(conn, new).await).await;
    taken.or_else(|stop| match stop {
        Stop::Answered(answer) => Ok(answer),
        Stop::Failed(error) => Err(error),
    })
}

/// Why nothing is written.
enum Stop {
    /// There is nothing to be written; a conversation that was opened on the way goes too.
    Answered(Acceptance),
    Failed(diesel::result::Error),
}

impl From<diesel::result::Error> for Stop {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error)
    }
}

/// Two steps, each of statements that are sent together: the second needs what the first has
/// locked.
async fn take_in(conn: &AsyncPgConnection, new: &NewOutbound) -> Result<Acceptance, Stop> {
    let key = conversation_of(new);
    let ((), earlier, (), known, waits) = try_join!(
        hold_key(conn, &new.idempotency),
        idempotency::find(conn, &new.idempotency),
        open_conversation(conn, new),
        lock_conversation(conn, key.as_ref()),
        lane_is_taken(conn, key.as_ref()),
    )?;
    if let Some(answer) = earlier.as_ref().and_then(|earlier| earlier.answer(new)) {
        return Err(Stop::Answered(answer));
    }
    let before = new.open(known).map_err(Stop::Answered)?;
    if let Some(given_up) = earlier.as_ref().and_then(Known::given_up) {
        supersede(conn, given_up, new).await?;
    }
    let message = new.stored_in(&before);
    let after = before.with_outbound(new, &message.from_number);
    try_join!(
        insert_message(conn, &message),
        conversations::update(conn, &after),
        enqueue(conn, new, &after, waits),
        idempotency::keep(conn, new),
    )?;
    let job = (!waits).then(|| new.claimed(after.id));
    Ok(Acceptance::New { message: Box::new(message), job })
}

/// Ends the parked job of the message that had the key before.
async fn supersede(
    conn: &AsyncPgConnection,
    given_up: &Outgoing,
    new: &NewOutbound,
) -> Result<(), Stop> {
    let send = given_up.send_job();
    jobs::finish_parked(conn, &send, new.accepted_at).await?;
    if !jobs::waits_or_runs(conn, &send).await? {
        return Ok(());
    }
    // An operator revived it this very moment: it is the one that is sent.
    let revived = outgoing::find(conn, given_up.message.id).await?;
    Err(revived.map_or(Stop::Failed(diesel::result::Error::NotFound), |revived| {
        Stop::Answered(Acceptance::Joined(Box::new(revived)))
    }))
}

/// Which conversation is meant: the one with the given id, or else with the address.
fn conversation_of(new: &NewOutbound) -> Option<ConversationKey> {
    let by_id = new.recipient.conversation.map(ConversationKey::Id);
    let address = new.recipient.address.as_ref();
    by_id.or_else(|| address.map(|(address, _)| ConversationKey::Address(address.clone())))
}

/// Writes the conversation that the message would open, where there is none.
async fn open_conversation(conn: &AsyncPgConnection, new: &NewOutbound) -> QueryResult<()> {
    match new.open(None) {
        Ok(opened) => conversations::open(conn, &opened).await,
        Err(_) => Ok(()),
    }
}

async fn lock_conversation(
    conn: &AsyncPgConnection,
    key: Option<&ConversationKey>,
) -> QueryResult<Option<Conversation>> {
    let Some(key) = key else {
        return Ok(None);
    };
    let known = conversations::lock(conn, key).await?;
    match key {
        ConversationKey::Id(_) => Ok(known),
        // It was opened in the same breath.
        ConversationKey::Address(_) => known.ok_or(diesel::result::Error::NotFound).map(Some),
    }
}

/// Who has the conversation locked decides which message is first in its lane.
async fn lane_is_taken(
    conn: &AsyncPgConnection,
    key: Option<&ConversationKey>,
) -> QueryResult<bool> {
    match key {
        Some(key) => jobs::lane_is_taken(conn, key).await,
        None => Ok(false),
    }
}

async fn insert_message(mut conn: &AsyncPgConnection, message: &Message) -> QueryResult<()> {
    diesel::insert_into(sms_messages::table)
        .values(MessageRow::of(message)?)
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// Writes what must follow, and the job that sends the message: this process has it already,
/// unless others of the conversation come first.
async fn enqueue(
    conn: &AsyncPgConnection,
    new: &NewOutbound,
    conversation: &Conversation,
    waits: bool,
) -> QueryResult<()> {
    let mut queued = conversation.follow_ups(&new.follow_ups());
    let send = NewJob {
        id: new.send_job,
        job: new.job(conversation.id),
        run_at: new.accepted_at,
        origin: new.origin.clone(),
    };
    if waits {
        queued.push(send);
        jobs::enqueue(conn, &queued).await?;
        return Ok(());
    }
    try_join!(jobs::enqueue(conn, &queued), jobs::enqueue_leased(conn, &send, new.lease_until))?;
    Ok(())
}
