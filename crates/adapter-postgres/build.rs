//! Builds the crate again when a migration is added: the macro that embeds them is not told.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
}
