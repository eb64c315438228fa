//! What holds for every text.

use domain::phone::{Address, PhoneNumber, Region, lookup_variants, masked};
use domain::text::Text;
use proptest::prelude::*;

/// Texts of the kinds that senders are made of, and pieces of them in any order.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[0-9]{1,11}",
        2 => r"[-+ ().,;:~#x*/\t]{1,3}",
        1 => "[a-zA-Z]{1,5}",
        1 => prop::sample::select(vec![
            "+1", "+44 ", "+39 0", "011", "1-800-", "(860) ", "860555", "whatsapp:", "tel:", "sms:",
            ";ext=", " ext. ", ";phone-context=+1", ";isub=", "٤١٥", "＋", "\u{200e}", "\u{a0}",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop_oneof![
        prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat()),
        (any::<String>(), 0..300_usize).prop_map(|(text, times)| text.repeat(times)),
        r"\+[1-9][0-9]{6,13}",
    ]
}

fn regions() -> impl Strategy<Value = Region> {
    let codes = vec!["US", "CA", "AG", "GB", "DE", "PT", "BR", "AR", "IT", "SM", "RU", "AU", "001"];
    prop::sample::select(codes).prop_map(|code| code.parse().unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_address_read_again_is_the_same_address(text in texts(), region in regions()) {
        let address = Address::read(&Text::new(text), region);
        let canonical = address.canonical();
        let again = Address::read(&Text::new(canonical.clone()), region);
        prop_assert_eq!(again.canonical(), canonical);
        prop_assert_eq!(again, address);
    }

    #[test]
    fn an_address_fits_in_an_index(text in texts()) {
        let canonical = Address::read(&Text::new(text), Region::default()).canonical();
        prop_assert!(canonical.chars().count() <= 250);
    }

    #[test]
    fn every_number_is_a_plus_and_few_digits(
        text in texts(),
        region in regions(),
    ) {
        if let Ok(number) = PhoneNumber::parse(&text, region) {
            let digits = number.as_str().strip_prefix('+').unwrap();
            prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert!((4..=20).contains(&digits.len()));
            prop_assert!(digits.ends_with(number.national()));
        }
    }

    #[test]
    fn variants_are_few_short_and_different(text in texts(), region in regions()) {
        let text = Text::new(text);
        let variants = lookup_variants(&text, region);
        prop_assert!(variants.len() <= 4);
        for (at, variant) in variants.iter().enumerate() {
            prop_assert!((1..=500).contains(&variant.chars().count()));
            prop_assert!(!variants[..at].contains(variant));
        }
        prop_assert!(variants.first().is_none_or(|first| first == text.as_str()));
    }

    #[test]
    fn what_is_masked_shows_five_digits_at_most(text in texts()) {
        let masked = masked(&text);
        prop_assert!(masked.chars().filter(char::is_ascii_digit).count() <= 5);
        prop_assert!(masked.chars().all(|c| c.is_ascii_digit() || "+*".contains(c)));
    }
}
