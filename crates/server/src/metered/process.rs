//! What the operating system says of the process, under the names of Prometheus' own clients.

use domain::ports::Clock;
use domain::timestamp::Timestamp;

use super::meter;
use crate::ports::SystemClock;

/// Makes the gauges. Where there is no `/proc` they show nothing.
pub(crate) fn measure() {
    let gauge = |name, about, read: fn() -> Option<u64>| {
        let meter = meter();
        let gauge = meter.u64_observable_gauge(name).with_description(about);
        gauge
            .with_callback(move |gauge| {
                if let Some(value) = read() {
                    gauge.observe(value, &[]);
                }
            })
            .build();
    };
    gauge("process_resident_memory_bytes", "Resident memory", resident_bytes);
    gauge("process_open_fds", "Open file descriptors", open_files);
    let started = SystemClock.now().since(Timestamp::EPOCH).as_secs_f64();
    let meter = meter();
    let start = meter.f64_gauge("process_start_time_seconds");
    start.with_description("When it started").build().record(started, &[]);
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn open_files() -> Option<u64> {
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
