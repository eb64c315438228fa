//! For tests: how the server goes about the statements that read pages.
#![expect(clippy::unwrap_used, reason = "only tests call this: to panic is to fail")]

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::Json;
use diesel_async::RunQueryDsl;
use domain::conversation::ConversationId;
use domain::event::EventCursor;
use domain::ports::{
    ConversationQuery, HookClaim, HookQuery, JobQuery, MessageQuery, Reconciliation, ThreadQuery,
};
use serde_json::Value;

use crate::{PgStore, feed, hooks, jobs, listing, reading, reconciliation, tenants};

/// The plans of what a call reads, with what was really read: each the answer to
/// `explain (analyze, buffers, format json)`.
impl PgStore {
    /// Of a page of conversations.
    pub async fn explain_conversations(&self, query: &ConversationQuery) -> Value {
        self.explain(listing::conversation_rows(query)).await
    }

    /// Of a page of all messages.
    pub async fn explain_messages(&self, query: &MessageQuery) -> Value {
        self.explain(listing::message_rows(query)).await
    }

    /// Of a page of a conversation's messages.
    pub async fn explain_thread(&self, id: ConversationId, query: &ThreadQuery) -> Value {
        self.explain(reading::thread_rows(id, query)).await
    }

    /// Of the conversations whose lookup is due again.
    pub async fn explain_reconciliation(&self, due: &Reconciliation) -> Value {
        self.explain(reconciliation::unknown_rows(due)).await
    }

    /// Of the conversations that a language is carried to.
    pub async fn explain_carrying(&self, conversation: ConversationId) -> Value {
        self.explain(tenants::family(conversation)).await
    }

    /// Of a page of jobs.
    pub async fn explain_jobs(&self, query: &JobQuery) -> Value {
        self.explain(jobs::listed_rows(query)).await
    }

    /// Of a page of what a subscriber was told.
    pub async fn explain_hooks(&self, query: &HookQuery) -> Value {
        self.explain(hooks::listed_rows(query)).await
    }

    /// Of a claim of what is due, and of a claim of what was abandoned.
    pub async fn explain_hook_claims(&self, claim: &HookClaim) -> [Value; 2] {
        let queued = self.explain(hooks::due_rows(hooks::QUEUED, claim)).await;
        [queued, self.explain(hooks::due_rows(hooks::ABANDONED, claim)).await]
    }

    /// Of what is behind a place in the stream of events.
    pub async fn explain_events(&self, behind: EventCursor, limit: u32) -> Value {
        self.explain(feed::rows_behind(behind, limit)).await
    }

    async fn explain(&self, statement: impl QueryFragment<Pg> + Send) -> Value {
        let explained = Explained(statement);
        self.pool.run(async |conn| explained.get_result(conn).await).await.unwrap()
    }
}

/// The plan of a statement instead of its rows.
struct Explained<Statement>(Statement);

impl<Statement: QueryFragment<Pg>> QueryFragment<Pg> for Explained<Statement> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("explain (analyze, buffers, format json) ");
        self.0.walk_ast(out)
    }
}

impl<Statement> QueryId for Explained<Statement> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Statement> Query for Explained<Statement> {
    type SqlType = Json;
}
