//! Numbers as people write them: what of a text is a number, by the rules of libphonenumber
//! (its `parse` before any metadata, as of 9.0.33). Whether the number exists is not asked here.

use super::digits::ascii_digit;

/// The digits of a number taken out of the text around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Whether it began with `+`.
    pub(super) international: bool,
    /// ASCII digits: letters of a vanity number are those of the keypad, an extension is gone.
    pub(super) digits: String,
}

/// Longer text is no number, whatever it holds. Characters.
const LONGEST: usize = 250;

impl Written {
    /// The first number in `text`, if what follows it belongs to it.
    pub(super) fn find(text: &str) -> Option<Self> {
        if let Some(written) = Self::in_e164_form(text) {
            return Some(written);
        }
        if text.chars().nth(LONGEST).is_some() {
            return None;
        }
        let number = possible_number(text.trim())?.to_lowercase();
        if !is_viable(&number) {
            return None;
        }
        let number = without_extension(&number);
        let national = number.trim_start_matches(is_plus);
        let international = national.len() < number.len();
        Some(Self { international, digits: normalized(national) })
    }

    /// The form in which Twilio writes numbers, without the detours of the others.
    fn in_e164_form(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let plain =
            (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| Self { international: true, digits: digits.to_owned() })
    }
}

/// What of the text to look at: the parts of an RFC 3966 URI that make the number, or everything
/// from the first digit or plus.
fn possible_number(text: &str) -> Option<String> {
    let mut number = match text.split_once(";phone-context=") {
        Some((before, context)) => in_context(before, context)?,
        None => first_number(text).to_owned(),
    };
    if let Some(at) = number.find(";isub=").filter(|at| *at > 0) {
        number.truncate(at);
    }
    Some(number)
}

/// The number of `tel:555-2671;phone-context=+1-415`. A context that is neither the beginning of
/// a number nor a domain spoils it.
fn in_context(before: &str, context: &str) -> Option<String> {
    let context = context.split(';').next()?;
    if !is_global_number(context) && !is_domain(context) {
        return None;
    }
    let local = before.split_once("tel:").map_or(before, |(_, local)| local);
    let beginning = if context.starts_with('+') { context } else { "" };
    Some(format!("{beginning}{local}"))
}

fn is_global_number(context: &str) -> bool {
    context.strip_prefix('+').is_some_and(|number| {
        number.chars().any(is_digit) && number.chars().all(|c| is_digit(c) || "-.()".contains(c))
    })
}

fn is_domain(context: &str) -> bool {
    let name = context.strip_suffix('.').unwrap_or(context);
    let alphanumeric = |c: char| c.is_ascii_alphabetic() || is_digit(c);
    let is_label = |label: &str| {
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    let top = name.rsplit('.').next().unwrap_or_default();
    name.split('.').all(is_label) && top.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// From the first digit or plus, without what hangs on at the end: punctuation, and the second
/// extension of `302/x2303`, which would be a second number.
fn first_number(text: &str) -> &str {
    let start = text.find(|c| is_plus(c) || is_digit(c)).unwrap_or(text.len());
    let number = text.get(start..).unwrap_or_default();
    let number = number.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '#');
    let second = number.char_indices().find(|(at, c)| {
        let rest = number.get(at + c.len_utf8()..).unwrap_or_default();
        "/\\".contains(*c) && rest.trim_start_matches(' ').starts_with('x')
    });
    second.and_then(|(at, _)| number.get(..at)).unwrap_or(number)
}

/// Whether it could be a number: two digits, or three before any letter and nothing but what
/// numbers are written with, and perhaps an extension.
fn is_viable(number: &str) -> bool {
    let two_digits = number.chars().count() == 2 && number.chars().all(is_digit);
    let before = |at| number.get(..at).unwrap_or_default();
    two_digits || is_long(number) || extensions(number).any(|at| is_long(before(at)))
}

fn is_long(number: &str) -> bool {
    let number = number.trim_start_matches(is_plus);
    let first = number.chars().take_while(|c| is_digit(*c) || is_punctuation(*c));
    let known = |c| is_digit(c) || is_punctuation(c) || c.is_ascii_lowercase();
    first.filter(|c| is_digit(*c)).count() >= 3 && number.chars().all(known)
}

fn without_extension(number: &str) -> &str {
    let before = extensions(number).next().and_then(|at| number.get(..at));
    before.filter(|before| is_viable(before)).unwrap_or(number)
}

/// The places from which the rest of the text reads as an extension, from left to right.
fn extensions(number: &str) -> impl Iterator<Item = usize> {
    let (labelled, extension) = split_extension(number);
    let places = labelled.char_indices().map(|(at, _)| at);
    places.filter(move |at| introduces(labelled.get(*at..).unwrap_or_default(), extension))
}

/// The digits that a text ends in.
#[derive(Clone, Copy)]
struct Extension {
    length: usize,
    /// Whether a `#` follows them.
    hash: bool,
}

fn split_extension(number: &str) -> (&str, Extension) {
    let unhashed = number.strip_suffix('#');
    let number = unhashed.unwrap_or(number);
    let before = number.trim_end_matches(is_digit);
    let length = number.chars().count() - before.chars().count();
    (before, Extension { length, hash: unhashed.is_some() })
}

/// Whether `label` stands before such an extension: the vaguer it is, the fewer digits it may
/// introduce.
fn introduces(label: &str, extension: Extension) -> bool {
    let most = |digits| (1..=digits).contains(&extension.length);
    let spaced = label.trim_start_matches([' ', '\u{a0}', '\t']);
    let word = label.trim_start_matches([' ', '\u{a0}', '\t', ',']);
    let commas = spaced.starts_with(',') && is_gap(spaced.trim_start_matches(','));
    let hyphens = !label.is_empty() && label.trim_start_matches(['-', ' ']).is_empty();
    label == ";ext=" && !extension.hash && most(20)
        || past_word_for_extension(word).is_some_and(is_gap) && most(20)
        || past_any(&[",,", ";"], spaced) && most(15)
        || past_any(&["x", "ｘ", "#", "＃", "~", "～", "int", "ｉｎｔ"], word) && most(9)
        || commas && most(9)
        || hyphens && extension.hash && most(6)
}

/// What follows `ext`, `xtn`, `extension`, `anexo` and their like.
fn past_word_for_extension(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("доб").or_else(|| text.strip_prefix("anexo")) {
        return Some(rest);
    }
    if let Some(rest) = past_optional(text, "ｅ").strip_prefix("ｘｔ") {
        return Some(past_optional(rest, "ｎ"));
    }
    let rest = past_optional(text, "e").strip_prefix("xt")?;
    let rest = match rest.strip_prefix("ensio") {
        Some(rest) => past_optional(rest, "\u{301}"),
        None => past_optional(rest, "ensi\u{f3}"),
    };
    Some(past_optional(rest, "n"))
}

fn past_optional<'t>(text: &'t str, word: &str) -> &'t str {
    text.strip_prefix(word).unwrap_or(text)
}

fn past_any(words: &[&str], text: &str) -> bool {
    words.iter().any(|word| text.strip_prefix(word).is_some_and(is_gap))
}

/// What may stand between the word for an extension and its digits.
fn is_gap(text: &str) -> bool {
    let text = text.strip_prefix([':', '.', '．']).unwrap_or(text);
    text.chars().all(|c| " \u{a0}\t,-".contains(c))
}

/// Three letters make a vanity number, read from the keypad; fewer are noise.
fn normalized(number: &str) -> String {
    if number.chars().filter(char::is_ascii_alphabetic).count() >= 3 {
        number.chars().filter_map(keypad_digit).collect()
    } else {
        number.chars().filter_map(ascii_digit).collect()
    }
}

fn keypad_digit(c: char) -> Option<char> {
    match c {
        '0'..='9' => Some(c),
        'a'..='c' => Some('2'),
        'd'..='f' => Some('3'),
        'g'..='i' => Some('4'),
        'j'..='l' => Some('5'),
        'm'..='o' => Some('6'),
        'p'..='s' => Some('7'),
        't'..='v' => Some('8'),
        'w'..='z' => Some('9'),
        _ => None,
    }
}

fn is_plus(c: char) -> bool {
    c == '+' || c == '＋'
}

fn is_digit(c: char) -> bool {
    ascii_digit(c).is_some()
}

/// What numbers are written with beside digits, the star of service codes included. Lower case.
fn is_punctuation(c: char) -> bool {
    matches!(c,
        '-' | 'x' | '*' | ' ' | '(' | ')' | '.' | '[' | ']' | '/' | '~'
        | '\u{a0}' | '\u{ad}' | '\u{200b}' | '\u{2010}'..='\u{2015}' | '\u{2053}' | '\u{2060}'
        | '\u{2212}' | '\u{223c}' | '\u{3000}' | '\u{30fc}' | '（' | '）' | '－'..='／' | '［' | '］'
        | '～')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let written = Written::find(text);
        let spelled =
            written.map(|w| format!("{}{}", if w.international { "+" } else { "" }, w.digits));
        assert_eq!(spelled.unwrap_or_default(), expected, "{text:?}");
    }

    #[test]
    fn punctuation_and_the_text_around_a_number_are_no_part_of_it() {
        check("+14155552671", "+14155552671");
        check("Tel. (415) 555-2671", "4155552671");
        check("＋１ ４１５－５５５－２６７１", "+14155552671");
        check("\u{202a}+1 415\u{a0}555\u{2014}2671\u{202c}", "+14155552671");
        check("++1 415 555 2671 ..", "+14155552671");
        check("415-555-2671 / x5", "4155552671");
        check("12", "12");
    }

    #[test]
    fn what_only_looks_like_a_number_is_none() {
        let long = format!("415 555 2671{}", " ".repeat(LONGEST));
        for text in [
            "",
            "+",
            "1",
            "+12",
            "4l5-555-2671",
            "+1🙂4155552671",
            "+1415555\t2671",
            "a@b.com",
            &long,
        ] {
            check(text, "");
        }
    }

    #[test]
    fn three_letters_are_keys_and_fewer_are_noise() {
        check("1-800-FLOWERS", "18003569377");
        check("+1415555267l", "+1415555267");
        check("555HELP", "5554357");
    }

    #[test]
    fn an_extension_is_left_out() {
        for extension in [
            " ext 7",
            "x7",
            ",7",
            ",,1234567890",
            " Extensión: 7",
            "ｅｘｔ７",
            " доб. 7",
            ";ext=7",
            " ~ 7#",
            " 7#",
            " int 7",
            "#7",
            " xtn,7",
        ] {
            check(&format!("+1 415 555 2671{extension}"), "+14155552671");
        }
        check("415-555-2671 ext", "4155552671398");
        check("415-555-2671x1234567890", "41555526711234567890");
        check("4155552671p123", "4155552671123");
    }

    #[test]
    fn a_phone_context_is_the_beginning_of_a_number_or_spoils_it() {
        check("tel:415-555-2671;phone-context=+1", "+14155552671");
        check("tel:555-2671;phone-context=+1-415;x=y", "+14155552671");
        check("tel:415-555-2671;isub=9;phone-context=example.com", "4155552671");
        check("tel:415-555-2671;phone-context=", "");
        check("tel:415-555-2671;phone-context=+", "");
        check("tel:415-555-2671;phone-context=-x.com", "");
    }
}
