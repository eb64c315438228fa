//! The decimal digits of every script.

/// The zero of each run of ten digits in Unicode 16 (general category `Nd`), in order.
const ZEROS: &[char] = &[
    '0', '٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '෦', '๐', '໐', '༠', '၀', '႐',
    '០', '᠐', '᥆', '᧐', '᪀', '᪐', '᭐', '᮰', '᱀', '᱐', '꘠', '꣐', '꤀', '꧐', '꧰', '꩐', '꯰', '０', '𐒠',
    '𐴰', '𐵀', '𑁦', '𑃰', '𑄶', '𑇐', '𑋰', '𑑐', '𑓐', '𑙐', '𑛀', '𑛐', '𑛚', '𑜰', '𑣠', '𑥐', '𑯰', '𑱐', '𑵐',
    '𑶠', '𑽐', '𖄰', '𖩠', '𖫀', '𖭐', '𖵰', '𜳰', '𝟎', '𝟘', '𝟢', '𝟬', '𝟶', '𞅀', '𞋰', '𞓰', '𞗱', '𞥐', '🯰',
];

/// `7` for the sevens of all scripts; `None` for what is no decimal digit, such as `⁷` or `Ⅶ`.
pub(super) fn ascii_digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let zero = ZEROS.get(ZEROS.partition_point(|zero| *zero <= c).checked_sub(1)?)?;
    char::from_digit(u32::from(c) - u32::from(*zero), 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decimal_digit_of_unicode_is_known_and_nothing_else() {
        let one_digit = regex::Regex::new(r"^\d$").unwrap();
        let mut buffer = [0; 4];
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let expected = one_digit.is_match(c.encode_utf8(&mut buffer));
            assert_eq!(ascii_digit(c).is_some(), expected, "{}", c.escape_unicode());
        }
    }

    #[test]
    fn a_digit_has_its_value_in_every_script() {
        for (text, expected) in
            [("４２", "42"), ("٤٢", "42"), ("४२", "42"), ("𝟒𝟸", "42"), ("²①Ⅶ", "")]
        {
            let digits: String = text.chars().filter_map(ascii_digit).collect();
            assert_eq!(digits, expected, "{text}");
        }
    }
}
