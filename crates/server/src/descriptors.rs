//! How many files and connections the process may have open.

use std::num::NonZero;

use adapter_http::descriptors_for_each_connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the database, calls to others, the log: these must go on however many knock.
const RESERVED: u64 = 512;
/// What the web server takes for each of its threads where nothing is nearer.
const USUAL: u64 = 25_600;

/// Takes all that the system allows (where nobody asks it is often 1,024 of a far larger limit), and gives
/// how many connections each thread of the web server may hold of it. Who is beyond waits to be taken,
/// which is over when somebody idle is sent away; without this limit nothing could be opened any more.
pub(crate) fn connections_for_each_thread() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = u64::try_from(threads).unwrap_or(1);
    share(take_all(), descriptors_for_each_connection() * threads)
}

fn take_all() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "no more files can be opened than before");
    }
    // No limit is no number.
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The part of so many parts.
fn share(limit: u64, parts: u64) -> usize {
    let share = limit.saturating_sub(RESERVED) / parts;
    usize::try_from(share.clamp(16, USUAL)).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_everything_else() {
        for (limit, parts, each) in
            [(1024, 4, 128), (20_000, 2, 9744), (u64::MAX, 4, 25_600), (64, 8, 16)]
        {
            assert_eq!(share(limit, parts), each, "{limit}");
        }
    }
}
