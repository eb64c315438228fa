//! Has the crate built again when a migration changes: the macro that embeds them cannot.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
