//! Statements that are prepared once for each connection.

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;
use diesel::{RunQueryDsl, SqliteConnection};

/// A statement that its connection keeps prepared, by its text.
///
/// diesel keeps no `update` and nothing that holds a literal, because their text may differ from
/// call to call: each call is parsed and planned again. That is no reason here: the few texts that
/// there can be are told apart, and none holds a value.
pub(crate) struct Prepared<Statement>(pub(crate) Statement);

impl<Statement: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Prepared<Statement> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Sqlite) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Statement> QueryId for Prepared<Statement> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Statement: Query> Query for Prepared<Statement> {
    type SqlType = Statement::SqlType;
}

impl<Statement> RunQueryDsl<SqliteConnection> for Prepared<Statement> {}
