//! Settings that can differ from message to message.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;

/// Several values, each as often as its weight says. One value alone is a mix as well.
///
/// Written `answer=10,drop-after-accepting=3`; a value without a weight has the weight 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix<T>(Vec<(T, u32)>);

impl<T> Mix<T> {
    /// Each value with its weight. Where all weights are zero the value's default is used.
    #[must_use]
    pub fn weighted(values: impl IntoIterator<Item = (T, u32)>) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T: Clone + Default> Mix<T> {
    fn draw(&self, dice: &mut Dice) -> T {
        let sides = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = dice.roll(sides);
        for (value, weight) in &self.0 {
            let weight = u64::from(*weight);
            if left < weight {
                return value.clone();
            }
            left -= weight;
        }
        T::default()
    }
}

impl<T> From<T> for Mix<T> {
    fn from(value: T) -> Self {
        Self(vec![(value, 1)])
    }
}

/// The text is no such setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of {expected}")]
pub struct InvalidSetting {
    /// What was written.
    pub text: String,
    /// What can be written instead.
    pub expected: &'static str,
}

impl<T: FromStr<Err = InvalidSetting>> FromStr for Mix<T> {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entry = |entry: &str| {
            let (value, weight) = entry.split_once('=').unwrap_or((entry, "1"));
            let unweighted =
                |_| InvalidSetting { text: entry.to_owned(), expected: "VALUE or VALUE=WEIGHT" };
            Ok((value.trim().parse()?, weight.trim().parse().map_err(unweighted)?))
        };
        text.split(',').map(entry).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: fmt::Display> fmt::Display for Mix<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(value, _)] = self.0.as_slice() {
            return write!(f, "{value}");
        }
        for (nth, (value, weight)) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            write!(f, "{comma}{value}={weight}")?;
        }
        Ok(())
    }
}

/// What holds for one message: what was queued for the next one, else what is set for its
/// recipient, else what is set for all.
pub(crate) struct Dial<T> {
    next: VecDeque<T>,
    by_recipient: HashMap<String, Mix<T>>,
    general: Mix<T>,
}

impl<T: Clone + Default> Dial<T> {
    pub(crate) fn new(general: Mix<T>) -> Self {
        Self { next: VecDeque::new(), by_recipient: HashMap::new(), general }
    }

    pub(crate) fn set(&mut self, mix: Mix<T>) {
        self.general = mix;
    }

    pub(crate) fn set_for(&mut self, recipient: &str, mix: Mix<T>) {
        self.by_recipient.insert(recipient.to_owned(), mix);
    }

    pub(crate) fn push_next(&mut self, value: T) {
        self.next.push_back(value);
    }

    /// What is set for that recipient, else for all.
    pub(crate) fn of(&self, recipient: Option<&str>) -> &Mix<T> {
        let own = recipient.and_then(|recipient| self.by_recipient.get(recipient));
        own.unwrap_or(&self.general)
    }

    pub(crate) fn draw(&mut self, recipient: &str, dice: &mut Dice) -> T {
        if let Some(value) = self.next.pop_front() {
            return value;
        }
        self.of(Some(recipient)).draw(dice)
    }
}

impl<T: Clone + Default> Default for Dial<T> {
    fn default() -> Self {
        Self::new(T::default().into())
    }
}

/// Random numbers that are the same in each run with the same seed (`SplitMix64`).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)).checked_rem(sides).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    #[test]
    fn values_come_as_often_as_their_weights_say() {
        let mix = Mix::weighted([(1_u16, 3), (2, 1), (3, 0)]);
        let mut dice = Dice::new(7);
        let drawn: Vec<_> = (0..4_000).map(|_| mix.draw(&mut dice)).collect();
        let count = |value| drawn.iter().filter(|drawn| **drawn == value).count();
        assert!((2_900..3_100).contains(&count(1)), "{}", count(1));
        assert_eq!(count(1) + count(2), 4_000);
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..10).map(|_| dice.roll(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(42), rolls(42));
        assert_ne!(rolls(42), rolls(43));
    }

    #[test]
    fn a_mix_without_weight_is_the_default() {
        assert_eq!(Mix::weighted([(5_u8, 0)]).draw(&mut Dice::new(1)), 0);
        assert_eq!(Mix::<u8>::weighted([]).draw(&mut Dice::new(1)), 0);
    }

    #[test]
    fn the_nearest_setting_wins() {
        let mut dial = Dial::<u8>::default();
        let mut dice = Dice::new(1);
        dial.set(1.into());
        dial.set_for("+1", 2.into());
        dial.push_next(3);
        let drawn: Vec<_> = ["+1", "+1", "+2"].map(|to| dial.draw(to, &mut dice)).into();
        assert_eq!(drawn, [3, 2, 1]);
    }

    #[test]
    fn a_mix_is_written_and_read() {
        let check = |text: &str, written: &str| {
            let mix: Mix<Failure> = text.parse().unwrap();
            assert_eq!(mix.to_string(), written);
            assert_eq!(written.parse(), Ok(mix));
        };
        check("answer", "answer");
        check(" answer = 10 , 429:2s", "answer=10,429:2s=1");
        for wrong in ["", "answer=", "answer=x", "answer,", "nonsense"] {
            assert!(wrong.parse::<Mix<Failure>>().is_err(), "{wrong:?}");
        }
    }
}
