//! The North American plan (`+1`) without the metadata: almost every number that we see is of an
//! area where each exchange from 200 on exists, so that nothing has to be loaded to know it.

use phonenumber::country;

use super::Region;
use super::written::Written;

/// What can be said without the metadata.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'w> {
    /// The national significant number of a `+1` number that exists.
    Exists(&'w str),
    /// No number.
    None,
    /// The metadata know.
    Unknown,
}

/// Judges what somebody in `region` wrote.
pub(super) fn judge(written: &Written, region: Region) -> Verdict<'_> {
    let Some(national) = ten_digits_or_fewer(written, region) else {
        return Verdict::Unknown;
    };
    match national.split_at_checked(3) {
        Some((area, local)) if local.len() == 7 => {
            let plain = is_plain_area(area) && !local.starts_with(['0', '1']);
            if plain { Verdict::Exists(national) } else { Verdict::Unknown }
        }
        // Canada has a few numbers of seven digits.
        Some(("310", local)) if local.len() == 4 => Verdict::Unknown,
        _ => Verdict::None,
    }
}

/// The digits after `+1`, or of the form that is dialled within the United States.
fn ten_digits_or_fewer(written: &Written, region: Region) -> Option<&str> {
    let digits = written.digits.as_str();
    let national = if written.international {
        digits.strip_prefix('1')?
    } else if region.0 == country::US && !digits.starts_with("011") {
        digits.strip_prefix('1').unwrap_or(digits)
    } else {
        return None;
    };
    (national.len() <= 10).then_some(national)
}

fn is_plain_area(area: &str) -> bool {
    area.parse().is_ok_and(|area| PLAIN_AREAS.partition_point(|edge| *edge <= area) % 2 == 1)
}

/// Where runs of area codes begin and end, in turn: of an area in such a run all numbers from
/// 200-0000 to 999-9999 exist. The tests compare them with the metadata.
const PLAIN_AREAS: &[u16] = &[
    201, 211, 212, 221, 223, 230, 231, 232, 234, 237, 239, 241, 248, 255, 256, 258, 260, 261, 262,
    264, 267, 268, 269, 271, 272, 273, 276, 277, 279, 280, 281, 282, 283, 284, 289, 290, 301, 311,
    312, 322, 323, 328, 329, 333, 334, 335, 336, 338, 339, 340, 341, 342, 343, 344, 346, 348, 350,
    355, 360, 362, 363, 366, 367, 370, 380, 381, 382, 383, 385, 387, 401, 411, 412, 420, 423, 426,
    428, 429, 430, 433, 434, 436, 437, 439, 440, 441, 442, 444, 445, 446, 447, 449, 450, 451, 458,
    459, 463, 465, 468, 471, 474, 476, 478, 481, 484, 485, 500, 511, 512, 523, 525, 535, 539, 542,
    544, 545, 548, 549, 551, 552, 557, 558, 559, 560, 561, 565, 566, 568, 570, 576, 577, 578, 579,
    583, 584, 589, 600, 611, 612, 621, 622, 624, 626, 627, 628, 632, 633, 634, 636, 637, 639, 642,
    645, 648, 650, 652, 656, 663, 667, 668, 669, 670, 672, 673, 678, 679, 680, 684, 686, 687, 689,
    690, 701, 710, 712, 721, 724, 729, 730, 733, 734, 735, 737, 739, 740, 741, 742, 744, 747, 749,
    753, 755, 757, 758, 760, 761, 762, 764, 765, 766, 769, 776, 778, 783, 785, 788, 800, 811, 812,
    822, 825, 827, 828, 834, 835, 836, 838, 841, 843, 846, 847, 851, 854, 861, 862, 868, 870, 871,
    872, 874, 877, 880, 888, 889, 900, 911, 912, 921, 925, 926, 928, 932, 934, 935, 936, 944, 945,
    946, 947, 950, 951, 953, 954, 955, 956, 957, 959, 960, 970, 974, 975, 976, 978, 981, 984, 987,
    989, 990,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plan;
    use super::*;

    fn agrees_with_the_metadata(international: bool, digits: &str) {
        let written = Written { international, digits: digits.to_owned() };
        let known = plan::resolve(&written, Region::default());
        let known = known.as_ref().map(|number| (number.code, number.national.as_str()));
        match judge(&written, Region::default()) {
            Verdict::Exists(national) => assert_eq!(known, Some((1, national)), "{digits}"),
            Verdict::None => assert_eq!(known, None, "{digits}"),
            Verdict::Unknown => {}
        }
    }

    #[test]
    fn plain_areas_are_those_of_the_metadata() {
        let exchanges = ["200", "211", "310", "456", "555", "602", "700", "811", "911", "999"];
        for area in 0..1000 {
            let exists = |exchange: &&str| {
                let digits = format!("1{area:03}{exchange}4567");
                let written = Written { international: true, digits };
                plan::resolve(&written, Region::default()).is_some()
            };
            let plain = exchanges.iter().all(exists);
            assert_eq!(is_plain_area(&format!("{area:03}")), plain, "{area}");
        }
    }

    #[test]
    fn numbers_of_seven_digits_are_those_of_the_metadata() {
        for beginning in 0..1000 {
            agrees_with_the_metadata(false, &format!("{beginning:03}4567"));
            agrees_with_the_metadata(true, &format!("1{beginning:03}4567"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_short_way_and_the_long_way_agree(
            international in any::<bool>(),
            digits in prop_oneof!["1?[2-9][0-9]{9}", "[01]{0,4}[0-9]{2,12}"],
        ) {
            agrees_with_the_metadata(international, &digits);
        }
    }
}
