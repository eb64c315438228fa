//! Which of our numbers a message is from.

use crate::phone::{Address, OwnAddresses, Region};
use crate::ports::Sender;
use crate::text::Text;

/// What we may send from, the preferred one first.
#[derive(Debug, Clone, Default)]
pub struct Senders {
    list: Vec<Sender>,
    own: Option<OwnAddresses>,
    region: Region,
}

impl Senders {
    /// These senders; numbers without `+` are in the national form of `region`.
    #[must_use]
    pub fn new(list: Vec<Sender>, region: Region) -> Self {
        let numbers = list.iter().filter_map(|sender| match sender {
            Sender::Number(number) => Some(Address::read(number, region)),
            Sender::Service(_) => None,
        });
        let own = Some(OwnAddresses::new(numbers, region));
        Self { list, own, region }
    }

    /// Whether nothing can be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether `text` is one of them, however it is written and in whatever channel.
    #[must_use]
    pub fn contains(&self, text: &Text) -> bool {
        let service = Sender::read(text.as_str());
        let address = Address::read(text, self.region);
        self.list.contains(&service) || self.own.as_ref().is_some_and(|own| own.contains(&address))
    }

    /// The sender that `text` names, as it is written to the provider; `None` where it is not ours.
    #[must_use]
    pub fn canonical(&self, text: &Text) -> Option<Text> {
        self.contains(text).then(|| match Sender::read(text.as_str()) {
            Sender::Service(sid) => Text::new(sid),
            Sender::Number(number) => Text::new(Address::read(&number, self.region).canonical()),
        })
    }

    /// Whether `address` is one of our numbers.
    #[must_use]
    pub fn is_ours(&self, address: &Address) -> bool {
        self.own.as_ref().is_some_and(|own| own.contains(address))
    }

    /// Whether a text can go to the canonical address of a conversation: to a number, also to one
    /// that no plan of numbers knows (we got a text from there), or to somebody in a channel. Not to
    /// a name, to nobody, or to a short code, which the provider delivers nothing to; and never to
    /// ourselves: whoever answers himself never stops.
    #[must_use]
    pub fn can_text(&self, to: &Text) -> bool {
        let address = Address::read(to, self.region);
        let is_reachable = match &address {
            Address::Phone(_) => true,
            Address::Channel { value, .. } => !value.is_empty(),
            Address::Other(text) => {
                let digits = text.strip_prefix('+').unwrap_or_default();
                digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
            Address::ShortCode(_) | Address::Sender(_) | Address::Withheld => false,
        };
        is_reachable && !self.is_ours(&address)
    }

    /// The sender of a message to `to`: the one asked for, else the one that the conversation last
    /// used if it is still ours, else the first. In a channel other than SMS our number is written
    /// in that channel.
    #[must_use]
    pub fn choose(&self, asked: Option<&Text>, used: Option<&Text>, to: &Text) -> Text {
        let first = || self.canonical(&Text::new(self.list.first()?.as_str()));
        let known = |text: &&Text| self.contains(text);
        let chosen = asked.or(used).filter(known).or(used.filter(known)).cloned();
        let chosen = chosen.or_else(first).unwrap_or_default();
        self.in_channel_of(to, chosen)
    }

    fn in_channel_of(&self, to: &Text, from: Text) -> Text {
        let Address::Channel { scheme, .. } = Address::read(to, self.region) else {
            return from;
        };
        match Address::read(&from, self.region) {
            Address::Phone(number) => Text::new(format!("{scheme}:{}", number.as_str())),
            _ => from,
        }
    }
}

impl PartialEq for Senders {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";

    #[test]
    fn nobody_texts_himself_or_what_is_no_number() {
        let ours = Senders::new(vec![Sender::read("+18605550100")], Region::default());
        for to in ["+18605550199", "whatsapp:+18605550199", "+5215512345678"] {
            assert!(ours.can_text(&Text::new(to)), "{to}");
        }
        for to in [
            "",
            "12345",
            "RENT2024",
            "+18605550100",
            "whatsapp:+18605550100",
            "whatsapp:",
            "+12345",
        ] {
            assert!(!ours.can_text(&Text::new(to)), "{to}");
        }
    }

    fn senders(list: &[&str]) -> Senders {
        Senders::new(list.iter().map(|text| Sender::read(text)).collect(), Region::default())
    }

    fn check(list: &[&str], asked: Option<&str>, used: Option<&str>, to: &str, expected: &str) {
        let (asked, used) = (asked.map(Text::new), used.map(Text::new));
        let chosen = senders(list).choose(asked.as_ref(), used.as_ref(), &Text::new(to));
        assert_eq!(chosen.as_str(), expected, "{asked:?} {used:?}");
    }

    #[test]
    fn the_number_asked_for_comes_before_the_one_last_used_before_the_first() {
        let ours = ["+18605550100", "+18605550101", "+18605550102"];
        let to = "+18605550199";
        check(&ours, Some("+18605550102"), Some("+18605550101"), to, "+18605550102");
        check(&ours, None, Some("+18605550101"), to, "+18605550101");
        check(&ours, None, None, to, "+18605550100");
    }

    #[test]
    fn a_number_that_is_no_longer_ours_is_not_used() {
        check(&["+18605550100"], None, Some("+18605550177"), "+18605550199", "+18605550100");
        check(&[SERVICE], None, Some("+18605550177"), "+18605550199", SERVICE);
    }

    #[test]
    fn a_message_in_another_channel_is_from_that_channel() {
        let ours = ["+18605550100"];
        check(&ours, None, None, "whatsapp:+18605550199", "whatsapp:+18605550100");
        check(&ours, None, Some("whatsapp:+18605550100"), "whatsapp:+1", "whatsapp:+18605550100");
        check(&ours, Some("whatsapp:+18605550100"), None, "+18605550199", "whatsapp:+18605550100");
    }

    #[test]
    fn a_messaging_service_is_known_by_its_form() {
        assert_eq!(Sender::read(SERVICE), Sender::Service(SERVICE.into()));
        assert_eq!(Sender::read("MG123"), Sender::Number(Text::new("MG123")));
        assert!(senders(&[SERVICE]).contains(&Text::new(SERVICE)));
        assert!(!senders(&[SERVICE]).contains(&Text::new("+18605550100")));
    }
}
