//! Statements that are prepared once for each connection.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, BoxedSqlQuery, Query, QueryFragment, QueryId, SqlQuery};
use diesel::result::QueryResult;

/// A statement that its connection keeps prepared, by its text.
///
/// diesel keeps no `update` and nothing that holds a literal, because their text may differ from
/// call to call: each call then costs one round trip and one planning more. That is no reason here:
/// the few texts that there can be are told apart, and none holds a value.
pub(crate) struct Prepared<Statement>(pub(crate) Statement);

impl<Statement: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Statement> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
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

/// A statement that gives rows of that type.
pub(crate) trait Rows<SqlType>: Query<SqlType = SqlType> + QueryFragment<Pg> + Send {}

impl<SqlType, Statement> Rows<SqlType> for Statement where
    Statement: Query<SqlType = SqlType> + QueryFragment<Pg> + Send
{
}

/// A statement to which parts of it bind their values one after the other.
pub(crate) type Binding<'a> = BoxedSqlQuery<'a, Pg, SqlQuery>;

/// So many placeholders, from that number on.
pub(crate) fn places(first: usize, count: usize) -> String {
    let places = (first..first + count).map(|place| format!("${place}"));
    places.collect::<Vec<_>>().join(", ")
}
