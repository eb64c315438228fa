//! Throws mutated examples at code that reads what others write. Works on stable Rust, inside an
//! ordinary test; it mutates blindly, without looking at which code was reached.
//!
//! A target is a test `fuzz::<name>` beside the code that it is about; its examples are files in
//! the crate's folder `fuzz/<name>`, and what a target once failed on belongs there. The ordinary
//! tests do few executions of each; `make fuzz` does `FUZZ_EXECUTIONS`, with a seed of its own.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for tests, which report so")]

use std::path::Path;
use std::time::Instant;
use std::{fs, io, thread};

/// No input is longer.
const LONGEST: usize = 4096;
/// Bytes that mean something somewhere.
const TELLING: &[u8] = b"\0\t\n\r \"%&'()*+,-./0:;<=>?@[\\]{}\x7f\x80\xc3\xff";

/// Gives `target` the examples in `corpus`, and mutations of them until it was executed as often as
/// `FUZZ_EXECUTIONS` says, or `few` times. `target` panics where it finds a fault; the input is
/// printed then, with the seed.
///
/// # Errors
/// Where the examples cannot be read, or are none.
pub fn fuzz(corpus: &Path, few: u64, mut target: impl FnMut(&[u8])) -> io::Result<()> {
    let examples = read(corpus)?;
    let executions = setting("FUZZ_EXECUTIONS").unwrap_or(few);
    let seed = setting("FUZZ_SEED").unwrap_or(0);
    let mut mutator = Mutator { rng: fastrand::Rng::with_seed(seed), examples };
    let begun = Instant::now();
    for nth in 0..executions {
        let known = usize::try_from(nth).ok().and_then(|nth| mutator.examples.get(nth)).cloned();
        let input = known.unwrap_or_else(|| mutator.input());
        let _on_panic = Report { input: &input, seed };
        target(&input);
    }
    let took = begun.elapsed();
    println!("{}: {executions} executions in {took:.1?}, seed {seed}", corpus.display());
    Ok(())
}

/// Says which input it was that `target` did not bear.
struct Report<'a> {
    input: &'a [u8],
    seed: u64,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}, input b\"{}\"", self.seed, self.input.escape_ascii());
        }
    }
}

fn read(corpus: &Path) -> io::Result<Vec<Vec<u8>>> {
    let files = fs::read_dir(corpus)?.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<io::Result<Vec<_>>>()?;
    files.sort_unstable();
    if files.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no examples"));
    }
    files.into_iter().map(fs::read).collect()
}

#[expect(clippy::disallowed_methods, reason = "`make fuzz` says how often through a variable")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct Mutator {
    rng: fastrand::Rng,
    examples: Vec<Vec<u8>>,
}

impl Mutator {
    /// An example after a few mutations.
    fn input(&mut self) -> Vec<u8> {
        let mut input = self.rng.choice(&self.examples).cloned().unwrap_or_default();
        for _ in 0..self.rng.usize(1..8) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.usize(0..=input.len());
        let end = (at + self.rng.usize(0..16)).min(input.len());
        match self.rng.u8(0..8) {
            0 => drop(input.drain(at..end)),
            1 => {
                let again: Vec<_> = input.drain(at..end).collect();
                let times = self.rng.usize(2..20);
                drop(input.splice(at..at, again.repeat(times)));
            }
            2 => {
                let telling = self.rng.choice(TELLING).copied();
                drop(input.splice(at..at, telling));
            }
            3 => {
                let bytes: Vec<_> = (0..self.rng.usize(1..8)).map(|_| self.rng.u8(..)).collect();
                drop(input.splice(at..at, bytes));
            }
            4 => {
                let other = self.rng.choice(&self.examples).cloned().unwrap_or_default();
                let from = self.rng.usize(0..=other.len());
                let piece = other.into_iter().skip(from).take(self.rng.usize(0..64));
                drop(input.splice(at..end, piece));
            }
            5 => input.truncate(at.max(1)),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.rng.u8(0..8);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_come_first_and_the_mutations_after_them_differ() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one"), "an example").unwrap();
        let mut seen = Vec::new();
        fuzz(folder.path(), 100, |input| seen.push(input.to_vec())).unwrap();
        assert_eq!(seen[0], b"an example");
        assert!(seen.iter().filter(|input| *input != b"an example").count() > 50);
    }

    #[test]
    fn without_examples_there_is_nothing_to_mutate() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fuzz(folder.path(), 1, |_| ()).is_err());
    }

    #[test]
    #[should_panic(expected = "it is here")]
    fn a_byte_that_is_not_borne_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one"), "a=b&c=d").unwrap();
        let target = |input: &[u8]| assert!(!input.contains(&0), "it is here");
        fuzz(folder.path(), 10_000, target).unwrap();
    }
}
