//! Reading the tables of the program that was here before, which have our names and not our columns.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::error::BoxError;

use crate::pool::Connector;
use crate::settings::{InvalidSettings, PgSettings};

/// The tables of the Python original.
pub struct Original {
    conn: AsyncPgConnection,
}

/// Which of its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalTable {
    /// `sms_conversations`.
    Conversations,
    /// `sms_messages`, each with the two spellings of its conversation's number.
    Messages,
    /// `sms_message_status_events`, each with its message's `twilio_sid`. May be missing.
    StatusEvents,
}

/// The tables cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OriginalError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// There is no connection to be had.
    #[error("the database to import from cannot be reached")]
    Unreachable(#[source] BoxError),
    /// A table is missing, or is another program's.
    #[error("the tables to import from cannot be read: are they the original's, in that schema?")]
    Unreadable(#[source] BoxError),
}

/// A row of one of its tables.
#[derive(Debug, QueryableByName)]
pub struct OriginalRow {
    /// Its id.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// All of it. What is in a column of type `json` stands there as it is, which PostgreSQL has not read.
    #[diesel(sql_type = Text)]
    pub json: String,
}

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

impl OriginalTable {
    fn name(self) -> &'static str {
        match self {
            Self::Conversations => "sms_conversations",
            Self::Messages => "sms_messages",
            Self::StatusEvents => "sms_message_status_events",
        }
    }

    /// Rows as JSON: whichever columns a version of the original has.
    fn query(self) -> String {
        let rows = match self {
            Self::Conversations => "select * from sms_conversations where id > $1",
            Self::Messages => {
                "select m.*, c.phone_number_canonical, c.phone_number_original \
                 from sms_messages m left join sms_conversations c on c.id = m.conversation_id \
                 where m.id > $1"
            }
            Self::StatusEvents => {
                "select e.*, m.twilio_sid from sms_message_status_events e \
                 join sms_messages m on m.id = e.message_id where e.id > $1"
            }
        };
        // As `json`, which keeps what `jsonb` refuses, such as an escaped NUL.
        format!(
            "select id::bigint as id, row_to_json(rows)::text as json \
             from ({rows} order by 1 limit $2) rows"
        )
    }
}

impl Original {
    /// Connects to the database of `settings`, whose schema holds the original's tables.
    ///
    /// # Errors
    /// [`OriginalError`].
    pub async fn connect(settings: &PgSettings) -> Result<Self, OriginalError> {
        let connector = Connector::new(settings, settings.unhurried_session())?;
        let conn = connector.connect_in_time().await;
        let conn = conn.map_err(|error| OriginalError::Unreachable(error.into()))?;
        Ok(Self { conn })
    }

    /// Whether there is such a table.
    ///
    /// # Errors
    /// [`OriginalError::Unreadable`].
    pub async fn has(&mut self, table: OriginalTable) -> Result<bool, OriginalError> {
        let found: Result<Option<TableRow>, _> =
            diesel::sql_query("select to_regclass($1)::text as name")
                .bind::<Text, _>(table.name())
                .get_result(&mut self.conn)
                .await
                .optional();
        let found = found.map_err(|error| OriginalError::Unreadable(error.into()))?;
        Ok(found.and_then(|row| row.name).is_some())
    }

    /// The rows behind that id, in the order of their ids.
    ///
    /// # Errors
    /// [`OriginalError::Unreadable`].
    pub async fn rows(
        &mut self,
        table: OriginalTable,
        after: i64,
        limit: u32,
    ) -> Result<Vec<OriginalRow>, OriginalError> {
        let rows = diesel::sql_query(table.query())
            .bind::<BigInt, _>(after)
            .bind::<BigInt, _>(i64::from(limit))
            .load(&mut self.conn)
            .await;
        rows.map_err(|error| OriginalError::Unreadable(error.into()))
    }
}
