//! `phone_cases.dev.jsonl`: what libphonenumber answers.

use std::collections::BTreeSet;

use domain::phone::{Address, PhoneNumber, Region, lookup_variants};
use domain::text::Text;
use serde_json::Value;

use crate::contract_data;

/// Where we answer otherwise, and why. `docs/decisions/canonical-addresses.md` repeats them.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("ph430", "blanks only: nobody is asked about nothing"),
    ("ph431", "blanks only: nobody is asked about nothing"),
];

#[test]
fn numbers_and_their_spellings_are_those_of_the_reference_library() {
    let Some(rows) = contract_data::read("phone_cases.dev.jsonl") else {
        return;
    };
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let differing: Vec<&str> =
        rows.iter().filter(|row| !agrees(row)).map(|row| text(row, "id")).collect();
    let expected: Vec<&str> = EXCEPTIONS.iter().map(|(id, _)| *id).collect();
    assert_eq!(differing, expected, "of {} rows", rows.len());
    println!("{} rows, {} of them exceptions", rows.len(), differing.len());
}

fn agrees(row: &Value) -> bool {
    let input = Text::new(text(row, "input"));
    let number = PhoneNumber::parse(input.as_str(), Region::default()).ok();
    let e164 = row["e164"].as_str();
    let national = e164.map(|_| text(row, "national_significant_number"));
    let variants = lookup_variants(&input, Region::default());
    let distinct: BTreeSet<&str> = variants.iter().map(String::as_str).collect();
    let expected: BTreeSet<&str> =
        row["variants"].as_array().unwrap().iter().filter_map(Value::as_str).collect();

    number.as_ref().map(PhoneNumber::as_str) == e164
        && number.as_ref().map(PhoneNumber::national) == national
        && is_kept_apart(&input, e164)
        && variants.len() == distinct.len()
        && distinct == expected
}

/// A value with a scheme is an address of its own, whatever number is found in it; any other text
/// is that number, or no number.
fn is_kept_apart(input: &Text, e164: Option<&str>) -> bool {
    let scheme = input.as_str().split_once(':').map(|(scheme, _)| scheme.to_lowercase());
    let address = Address::read(input, Region::default());
    match (scheme.as_deref(), address) {
        (None | Some("tel" | "sms"), Address::Phone(number)) => e164 == Some(number.as_str()),
        (None | Some("tel" | "sms"), Address::Channel { .. }) => false,
        (None | Some("tel" | "sms"), _) => e164.is_none(),
        (Some(_), address) => matches!(address, Address::Channel { .. }),
    }
}

fn text<'r>(row: &'r Value, field: &str) -> &'r str {
    row[field].as_str().unwrap()
}
