//! A place in a list as callers carry it: `<microseconds>_<id>`. Opaque to them.

use domain::conversation::ConversationId;
use domain::message::MessageId;
use domain::ports::{ConversationCursor, Cursor};
use domain::timestamp::Timestamp;
use uuid::Uuid;

/// What stands in front of a cursor that leads back.
const BACKWARD: char = 'p';

/// A place in a thread, and whether the page ends there instead of beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) at: Cursor,
    pub(crate) backward: bool,
}

/// Spells a place between two messages.
pub(crate) fn write(cursor: &Cursor) -> String {
    spell(cursor.created_at, &cursor.id.0)
}

/// Reads what [`write()`] spelled; `None` for anything else.
pub(crate) fn read(text: &str) -> Option<Cursor> {
    let (created_at, id) = parse(text)?;
    Some(Cursor { created_at, id: MessageId(id) })
}

/// Spells a place between two messages that leads back.
pub(crate) fn write_backward(cursor: &Cursor) -> String {
    format!("{BACKWARD}{}", write(cursor))
}

/// Reads what [`write()`] or [`write_backward()`] spelled.
pub(crate) fn read_turn(text: &str) -> Option<Turn> {
    let (rest, backward) = match text.strip_prefix(BACKWARD) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    Some(Turn { at: read(rest)?, backward })
}

/// Spells a place between two conversations.
pub(crate) fn write_activity(cursor: &ConversationCursor) -> String {
    spell(cursor.last_activity_at, &cursor.id.0)
}

/// Reads what [`write_activity()`] spelled.
pub(crate) fn read_activity(text: &str) -> Option<ConversationCursor> {
    let (last_activity_at, id) = parse(text)?;
    Some(ConversationCursor { last_activity_at, id: ConversationId(id) })
}

fn spell(at: Timestamp, id: &Uuid) -> String {
    format!("{}_{}", at.as_micros(), id.simple())
}

/// Digits only: nothing of ours is older than 1970, and no store need know of such times.
fn parse(text: &str) -> Option<(Timestamp, Uuid)> {
    let (micros, id) = text.split_once('_')?;
    let is_ours = !micros.is_empty() && micros.bytes().all(|byte| byte.is_ascii_digit());
    if !is_ours {
        return None;
    }
    Some((Timestamp::from_micros(micros.parse().ok()?)?, Uuid::try_parse(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let id = MessageId::parse("0195f2a0-7c1e-7000-8000-000000000001").unwrap();
        let cursor =
            Cursor { created_at: Timestamp::from_micros(1_795_340_000_000_001).unwrap(), id };
        assert_eq!(read(&write(&cursor)), Some(cursor));
        for (text, backward) in [(write(&cursor), false), (write_backward(&cursor), true)] {
            assert_eq!(read_turn(&text), Some(Turn { at: cursor, backward }));
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in [
            "",
            "_",
            "1_",
            "x_0195f2a07c1e70008000000000000001",
            "99999999999999999999_1",
            "-370000000000000000_0195f2a07c1e70008000000000000001",
            "-1_0195f2a07c1e70008000000000000001",
            "+5_0195f2a07c1e70008000000000000001",
            "_0195f2a07c1e70008000000000000001",
            "999999999999999999_0195f2a07c1e70008000000000000001",
        ] {
            assert_eq!(read(text), None, "{text}");
            assert_eq!(read_turn(text), None, "{text}");
            assert_eq!(read_activity(text), None, "{text}");
        }
    }
}
