//! Makes the table of letter groups that `src/table.rs` reads.
//!
//! The language models of lingua (crates `lingua-*-language-model`) say, for every group of one to
//! five letters seen in a large corpus, how probable its last letter is behind the others. From
//! the models of three languages this keeps what tells them apart: for each group by how much it
//! is likelier in Spanish and in Portuguese than in English, in eighths of a natural logarithm.
//! That is 0.9 MB instead of 12.4, and one look-up instead of three.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use fst::{Map, Streamer};
use lingua_english_language_model::ENGLISH_MODELS_DIRECTORY;
use lingua_portuguese_language_model::PORTUGUESE_MODELS_DIRECTORY;
use lingua_spanish_language_model::SPANISH_MODELS_DIRECTORY;

#[path = "src/letters.rs"]
mod letters;

use letters::{ACCENTED, BITS, BUCKET_BITS, LONGEST, append, last, number, place};

/// The file of a model that has the groups and their probabilities.
const GROUPS: &str = "ngrams.fst";
const MISSING: &str = "a language model without groups";
/// About how many letters lingua counted in each language.
const CORPUS: f64 = 9e7;
/// As much of the corpus is taken as if it had been typed without accents.
const TYPED_PLAIN: f64 = 0.2;
/// A group that was seen less often says nothing reliable.
const SELDOM: f64 = 10.0;
/// What it costs to know a group only without its first letter, in natural logarithms.
const BACK_OFF: f64 = 1.0;
/// The probability of a letter that a language does not have, as a natural logarithm.
const NEVER: f64 = -12.0;
/// A group that differs less from its own ending is left out, in eighths.
const SAME: i32 = 2;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/letters.rs");
    let languages = [
        Model::read(ENGLISH_MODELS_DIRECTORY.get_file(GROUPS).ok_or(MISSING)?.contents())?,
        Model::read(SPANISH_MODELS_DIRECTORY.get_file(GROUPS).ok_or(MISSING)?.contents())?,
        Model::read(PORTUGUESE_MODELS_DIRECTORY.get_file(GROUPS).ok_or(MISSING)?.contents())?,
    ];
    let table = differences(&languages);
    write(&table, &PathBuf::from(env::var("OUT_DIR")?))
}

/// By how much a group is likelier in Spanish and in Portuguese than in English, in eighths.
type Difference = [i8; 2];

/// How often each group occurs in a language, by the number of its letters, in the order of groups.
#[derive(Default)]
struct Model {
    counts: [Vec<(u32, f64)>; LONGEST],
}

impl Model {
    fn read(groups: &[u8]) -> Result<Self, Box<dyn Error>> {
        let groups = Map::new(groups)?;
        let mut model = Self::default();
        let mut groups = groups.stream();
        // In this order a group comes behind the same group without its last letter: `path` has
        // how often each beginning of the last group was seen.
        let mut path: Vec<(u32, f64)> = Vec::with_capacity(LONGEST);
        while let Some((group, probability)) = groups.next() {
            let group: Option<Vec<u32>> = str::from_utf8(group)?.chars().map(number).collect();
            let Some(group) = group else { continue };
            let Some((last, before)) = group.split_last() else { continue };
            path.truncate(before.len());
            if !path.iter().map(|(letter, _)| letter).eq(before) {
                continue;
            }
            let seen = path.last().map_or(CORPUS, |(_, seen)| *seen);
            let count = seen * f64::from_bits(probability).exp();
            path.push((*last, count));
            model.add(group.iter().copied(), count * (1.0 - TYPED_PLAIN));
            model.add(group.iter().copied().map(plain), count * TYPED_PLAIN);
        }
        model.counts.iter_mut().for_each(add_up);
        Ok(model)
    }

    fn add(&mut self, group: impl ExactSizeIterator<Item = u32>, count: f64) {
        if let Some(counts) = self.counts.get_mut(group.len() - 1) {
            counts.push((group.fold(0, append), count));
        }
    }

    fn of(&self, letters: usize) -> &[(u32, f64)] {
        letters.checked_sub(1).and_then(|at| self.counts.get(at)).map_or(&[], Vec::as_slice)
    }

    fn count(&self, letters: usize, group: u32) -> f64 {
        let counts = self.of(letters);
        let found = counts.binary_search_by_key(&group, |(group, _)| *group);
        found.ok().and_then(|at| counts.get(at)).map_or(0.0, |(_, count)| *count)
    }

    /// How probable the last letter of the group is behind the others, as a natural logarithm;
    /// behind fewer of them where the group is seldom.
    fn probability(&self, letters: usize, group: u32) -> f64 {
        let count = self.count(letters, group);
        match letters {
            1 if count < SELDOM => NEVER,
            1 => (count / CORPUS).ln(),
            _ if count < SELDOM => {
                self.probability(letters - 1, last(group, letters - 1)) - BACK_OFF
            }
            _ => (count / self.count(letters - 1, group >> BITS)).ln(),
        }
    }
}

/// Orders the groups, and makes one of those that are the same without accents.
fn add_up(counts: &mut Vec<(u32, f64)>) {
    counts.sort_unstable_by_key(|(group, _)| *group);
    counts.dedup_by(|(group, count), (kept, sum)| {
        let same = group == kept;
        *sum += if same { *count } else { 0.0 };
        same
    });
}

fn plain(letter: u32) -> u32 {
    let accented = ACCENTED.into_iter().find(|(accented, _)| number(*accented) == Some(letter));
    accented.and_then(|(_, plain)| number(plain)).unwrap_or(letter)
}

/// The groups worth keeping.
fn differences(languages: &[Model; 3]) -> HashMap<u32, Difference> {
    let mut table = HashMap::new();
    for letters in 1..=LONGEST {
        let kept: Vec<(u32, Difference)> = groups(languages, letters)
            .into_iter()
            .map(|group| (group, difference(languages, letters, group)))
            .filter(|(group, found)| tells_more(*found, ending(&table, letters, *group)))
            .collect();
        table.extend(kept);
    }
    table
}

fn groups(languages: &[Model; 3], letters: usize) -> Vec<u32> {
    let counts = languages.iter().flat_map(|model| model.of(letters));
    let often = counts.filter(|(_, count)| *count >= SELDOM);
    let mut groups: Vec<u32> = often.map(|(group, _)| *group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn difference(languages: &[Model; 3], letters: usize, group: u32) -> Difference {
    let [english, spanish, portuguese] =
        languages.each_ref().map(|model| model.probability(letters, group));
    [eighths(spanish - english), eighths(portuguese - english)]
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "clamped and rounded")]
fn eighths(logarithm: f64) -> i8 {
    (logarithm * 8.0).clamp(-127.0, 127.0).round() as i8
}

/// What the table says of the longest ending of the group.
fn ending(table: &HashMap<u32, Difference>, letters: usize, group: u32) -> Option<Difference> {
    (1..letters).rev().find_map(|shorter| table.get(&last(group, shorter)).copied())
}

fn tells_more([es, pt]: Difference, ending: Option<Difference>) -> bool {
    ending.is_none_or(|[ending_es, ending_pt]| {
        let es = i32::from(es) - i32::from(ending_es);
        let pt = i32::from(pt) - i32::from(ending_pt);
        es.abs() > SAME || pt.abs() > SAME || (es - pt).abs() > SAME
    })
}

/// Writes the entries in the order of their places, and where the entries of each bucket start.
fn write(table: &HashMap<u32, Difference>, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut placed: Vec<_> = table.iter().map(|(group, found)| (place(*group), *found)).collect();
    placed.sort_unstable();
    let mut entries = Vec::new();
    for ((_, rest), difference) in &placed {
        entries.extend(u16::try_from(*rest)?.to_le_bytes());
        entries.extend(difference.map(i8::to_le_bytes).concat());
    }
    let mut starts = Vec::new();
    for bucket in 0..=(1_u32 << BUCKET_BITS) {
        let start = placed.partition_point(|((of, _), _)| *of < bucket);
        starts.extend(u32::try_from(start)?.to_le_bytes());
    }
    fs::write(folder.join("entries.bin"), entries)?;
    fs::write(folder.join("starts.bin"), starts)?;
    Ok(())
}
