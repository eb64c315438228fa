//! Addresses as anybody may write them.

use std::path::Path;

use domain::phone::{Address, Region};
use domain::text::Text;

#[test]
fn address() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/address");
    let regions: Vec<Region> = ["US", "BR", "DE"].map(|name| name.parse().unwrap()).into();
    fuzz::fuzz(&corpus, 3000, |input| {
        let text = Text::new(String::from_utf8_lossy(input));
        for region in &regions {
            let canonical = Address::read(&text, *region).canonical();
            let again = Address::read(&Text::new(canonical.clone()), *region).canonical();
            assert_eq!(again, canonical, "one conversation would become two");
        }
    })
    .unwrap();
}
