//! Groups of up to five letters as numbers; shared by `build.rs` and the table it makes.

/// The longest group that is counted.
pub(crate) const LONGEST: usize = 5;
/// How many bits a letter takes.
pub(crate) const BITS: u32 = 6;
/// Every key is below this power of two.
pub(crate) const KEY_BITS: u32 = 5 * BITS;
/// The table has this power of two of buckets.
pub(crate) const BUCKET_BITS: u32 = 15;

/// The accented letters with their plain ones.
pub(crate) const ACCENTED: [(char, char); 14] = [
    ('á', 'a'),
    ('é', 'e'),
    ('í', 'i'),
    ('ó', 'o'),
    ('ú', 'u'),
    ('ü', 'u'),
    ('ñ', 'n'),
    ('ã', 'a'),
    ('õ', 'o'),
    ('ç', 'c'),
    ('â', 'a'),
    ('ê', 'e'),
    ('ô', 'o'),
    ('à', 'a'),
];

/// The number of a letter, from 1; `None` for what is no letter of the three languages.
pub(crate) fn number(letter: char) -> Option<u32> {
    match letter {
        'a'..='z' => Some(u32::from(letter) - u32::from('a') + 1),
        _ => (27..).zip(ACCENTED).find(|(_, (accented, _))| *accented == letter).map(|(n, _)| n),
    }
}

/// A group with one more letter at its end.
pub(crate) fn append(group: u32, letter: u32) -> u32 {
    (group << BITS) | letter
}

/// The last `letters` letters of a group.
pub(crate) fn last(group: u32, letters: usize) -> u32 {
    let bits = u32::try_from(letters).map_or(KEY_BITS, |letters| letters * BITS);
    group & ((1 << bits) - 1)
}

/// Where a group is looked for: its bucket, and what tells it from the others there. Two groups
/// never agree in both, because an odd factor only reorders the numbers below a power of two.
pub(crate) fn place(group: u32) -> (u32, u32) {
    let mixed = group.wrapping_mul(0x9E37_79B1) & ((1 << KEY_BITS) - 1);
    let rest_bits = KEY_BITS - BUCKET_BITS;
    (mixed >> rest_bits, mixed & ((1 << rest_bits) - 1))
}
