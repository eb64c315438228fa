//! One fault after another while people text, callers send and subscribers are told: nothing that
//! was acknowledged is lost, nothing happens twice, nothing stays stuck, and the service recovers by
//! itself. Small in the ordinary tests; `make chaos` tries each fault `CHAOS_TIMES` times and writes
//! `docs/reliability.md`.

mod bent;
mod faults;
mod link;
mod load;
mod overload;
mod scene;
mod table;

use crate::proof::scale;

/// Whether this is `make chaos`.
fn is_full() -> bool {
    scale("CHAOS_TIMES", 0) > 0
}
