//! `application/x-www-form-urlencoded`: from bytes to fields, refusing nothing and losing nothing,
//! and from fields to text.
//!
//! Pieces stand between `&`, empty ones are skipped; the first `=` ends the name; `+` is a blank;
//! a `%` without two hexadecimal digits stands for itself. Names and values are bytes: what is
//! signed need not be text. <https://url.spec.whatwg.org/#urlencoded-parsing>

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// The fields of a form, in order of arrival. Personal data: it has no `Debug`.
pub struct Form<'a>(Vec<Field<'a>>);

/// A field of a form.
pub struct Field<'a> {
    /// Its name, decoded.
    pub name: Cow<'a, [u8]>,
    /// Its value, decoded.
    pub value: Cow<'a, [u8]>,
    /// Its name as it came.
    pub raw_name: &'a [u8],
    /// Its value as it came.
    pub raw_value: &'a [u8],
}

impl<'a> Form<'a> {
    /// Reads a body. Every body is a form.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Self {
        let pieces = body.split(|byte| *byte == b'&');
        Self(pieces.filter(|piece| !piece.is_empty()).map(Field::parse).collect())
    }

    /// All fields.
    #[must_use]
    pub fn fields(&self) -> &[Field<'a>] {
        &self.0
    }

    /// The value of the first field with that name, as text; what is no UTF-8 is replaced by
    /// U+FFFD.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let named = |field: &&Field<'_>| *field.name == *name.as_bytes();
        let field = self.0.iter().find(named)?;
        Some(String::from_utf8_lossy(&field.value))
    }

    /// Names and values as text, as frameworks hand them on; `None` where the bytes are that text
    /// already.
    #[must_use]
    pub(crate) fn replaced(&self) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        let is_text = |field: &Field<'_>| {
            std::str::from_utf8(&field.name).is_ok() && std::str::from_utf8(&field.value).is_ok()
        };
        if self.0.iter().all(is_text) {
            return None;
        }
        let fields = self.0.iter();
        let text = |bytes| String::from_utf8_lossy(bytes);
        Some(fields.map(|field| (text(&field.name), text(&field.value))).collect())
    }
}

/// Writes fields as Twilio's SDKs do: a blank as `+`, and beside letters and digits only `-._~` as
/// they are.
#[must_use]
pub fn encode<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> String {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let escaped = |text| utf8_percent_encode(text, ESCAPED).to_string().replace("%20", "+");
    let fields = fields.into_iter();
    let pieces = fields.map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pieces.collect::<Vec<_>>().join("&")
}

impl<'a> Field<'a> {
    fn parse(piece: &'a [u8]) -> Self {
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let raw_name = halves.next().unwrap_or_default();
        let raw_value = halves.next().unwrap_or_default();
        Self { name: decoded(raw_name), value: decoded(raw_value), raw_name, raw_value }
    }
}

fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(raw);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    // No escape reaches over a `+`, so the words between them are decoded one by one.
    for (nth, word) in raw.split(|byte| *byte == b'+').enumerate() {
        if nth > 0 {
            bytes.push(b' ');
        }
        bytes.extend(percent_decode(word));
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let form = Form::parse(body);
        let pair = |field: &Field<'_>| (field.name.to_vec(), field.value.to_vec());
        form.fields().iter().map(pair).collect()
    }

    #[test]
    fn each_piece_becomes_a_field() {
        let check = |body: &str, expected: &[(&str, &[u8])]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
                .collect();
            assert_eq!(pairs(body.as_bytes()), expected, "{body}");
        };
        check("", &[]);
        check("&&", &[]);
        check("a=1&b=2", &[("a", b"1"), ("b", b"2")]);
        check("b=2&a=1&b=2", &[("b", b"2"), ("a", b"1"), ("b", b"2")]);
        check("&a=1&", &[("a", b"1")]);
        check("a", &[("a", b"")]);
        check("=", &[("", b"")]);
        check("=1", &[("", b"1")]);
        check("a=b=c", &[("a", b"b=c")]);
        check("a+b=+c+", &[("a b", b" c ")]);
        check("a=%2B%26%3D%25", &[("a", b"+&=%")]);
        check("a=%c3%A9", &[("a", "\u{e9}".as_bytes())]);
        check("a=%", &[("a", b"%")]);
        check("a=%4", &[("a", b"%4")]);
        check("a=%zz%+41", &[("a", b"%zz% 41")]);
        check("a=%00%FF", &[("a", b"\0\xff")]);
        check("a;b=1", &[("a;b", b"1")]);
    }

    #[test]
    fn the_first_of_repeated_fields_is_read() {
        let form = Form::parse(b"Body=one&Body=two&x=%FF");
        assert_eq!(form.text("Body").as_deref(), Some("one"));
        assert_eq!(form.text("x").as_deref(), Some("\u{fffd}"));
        assert_eq!(form.text("body"), None);
    }

    #[test]
    fn text_is_replaced_only_where_it_must_be() {
        assert!(Form::parse("a=%C3%A9&b=\u{e9}".as_bytes()).replaced().is_none());
        let form = Form::parse(b"a%FF=1&b=%C3");
        let replaced = form.replaced().unwrap();
        assert_eq!(replaced[0], ("a\u{fffd}".into(), "1".into()));
        assert_eq!(replaced[1], ("b".into(), "\u{fffd}".into()));
    }

    /// One byte as a browser, a library or an attacker may write it.
    fn written(byte: u8, style: u8) -> Vec<u8> {
        match (style % 3, byte) {
            (0, b' ') => b"+".to_vec(),
            (0, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80..) => vec![byte],
            (1, _) => format!("%{byte:02x}").into_bytes(),
            _ => format!("%{byte:02X}").into_bytes(),
        }
    }

    fn encoded(bytes: &[u8], style: u8) -> Vec<u8> {
        let at = |nth: usize| style.wrapping_add(u8::try_from(nth % 3).unwrap());
        let bytes = bytes.iter().enumerate();
        bytes.flat_map(|(nth, byte)| written(*byte, at(nth))).collect()
    }

    proptest! {
        #[test]
        fn every_way_of_encoding_is_read_back(
            fields in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8),
            style in 0..3_u8,
        ) {
            let pieces: Vec<_> = fields
                .iter()
                .map(|(name, value)| [encoded(name, style), encoded(value, style)].join(&b'='))
                .collect();
            prop_assert_eq!(pairs(&pieces.join(&b'&')), fields);
        }

        #[test]
        fn what_is_written_is_read_back(
            fields in prop::collection::vec((any::<String>(), any::<String>()), 0..8),
        ) {
            let written = encode(fields.iter().map(|(name, value)| (&**name, &**value)));
            let form = Form::parse(written.as_bytes());
            let pair = |field: &Field<'_>| (field.name.to_vec(), field.value.to_vec());
            let read: Vec<_> = form.fields().iter().map(pair).collect();
            let bytes = |(name, value): &(String, String)| (name.clone().into(), value.clone().into());
            prop_assert_eq!(read, fields.iter().map(bytes).collect::<Vec<(Vec<u8>, Vec<u8>)>>());
        }

        #[test]
        fn no_body_panics(body in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"&=+%0aF".to_vec())], 0..200,
        )) {
            let form = Form::parse(&body);
            let pieces = body.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
            prop_assert_eq!(form.fields().len(), pieces.count());
        }
    }
}
