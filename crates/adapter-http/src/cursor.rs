//! A place in a thread as callers carry it: `<microseconds>_<message id>`. Opaque to them.

use domain::message::MessageId;
use domain::ports::Cursor;
use domain::timestamp::Timestamp;

/// Spells a cursor.
pub(crate) fn write(cursor: &Cursor) -> String {
    format!("{}_{}", cursor.created_at.as_micros(), cursor.id.0.simple())
}

/// Reads what [`write()`] spelled; `None` for anything else.
pub(crate) fn read(text: &str) -> Option<Cursor> {
    let (micros, id) = text.split_once('_')?;
    let created_at = Timestamp::from_micros(micros.parse().ok()?)?;
    Some(Cursor { created_at, id: MessageId::parse(id)? })
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
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "_", "1_", "x_0195f2a07c1e70008000000000000001", "99999999999999999999_1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
