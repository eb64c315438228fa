//! What the service promises, under load, crashes and outages: small by default, at full size with
//! `make proof`.

mod crashes;
mod hooks;
mod hostile;
mod load;
mod outages;
mod rate;
mod sends;
mod traffic;

/// How much of something to do: `name` in the environment, else the small number.
#[expect(clippy::disallowed_methods, reason = "`make proof` says how much through variables")]
pub(crate) fn scale(name: &str, small: usize) -> usize {
    std::env::var(name).map_or(small, |text| text.parse().expect("a whole number"))
}
