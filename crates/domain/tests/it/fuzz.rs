//! Addresses as anybody may write them.

use domain::phone::{Address, Region};
use domain::text::Text;

#[test]
fn address() {
    let regions: Vec<Region> = ["US", "BR", "DE"].map(|name| name.parse().unwrap()).into();
    bolero::check!(name = "address").with_iterations(1000).for_each(|input: &[u8]| {
        let text = Text::new(String::from_utf8_lossy(input));
        for region in &regions {
            let canonical = Address::read(&text, *region).canonical();
            let again = Address::read(&Text::new(canonical.clone()), *region).canonical();
            assert_eq!(again, canonical, "one conversation would become two");
        }
    });
}
