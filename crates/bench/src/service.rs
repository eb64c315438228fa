//! The service under load: its process, started with nothing but the settings it needs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::requests::{PUBLIC, TOKEN};

/// A running service; it is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first 200 on `/health/ready`.
    pub(crate) started_in: Duration,
}

/// How often a second the kernel counts processor time in `/proc`.
const TICKS: u32 = 100;

impl Service {
    /// Starts the program with logging as it comes, which goes nowhere.
    pub(crate) fn start(program: &Path, database_url: &str, monitor: SocketAddr) -> Result<Self> {
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("APP_ENV", "local")
            .env("API_AUTH", "off")
            .env("RATE_LIMIT", "1000000")
            .env("RATE_LIMIT_BURST", "1000000")
            .env("PORT", address.port().to_string())
            .env("LOG_FORMAT", "json")
            .env("PUBLIC_BASE_URL", PUBLIC)
            .env("TWILIO_AUTH_TOKEN", TOKEN)
            .env("DATABASE_URL", database_url)
            .env("MONITOR_API_URL", format!("http://{monitor}"))
            .stdout(Stdio::null());
        let start = Instant::now();
        let child =
            command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        let mut service = Self { child, address, started_in: Duration::ZERO };
        while !is_ready(address) {
            ensure!(service.child.try_wait()?.is_none(), "the service stopped by itself");
            ensure!(start.elapsed() < Duration::from_secs(30), "the service is not ready");
            thread::sleep(Duration::from_micros(500));
        }
        service.started_in = start.elapsed();
        Ok(service)
    }

    /// Processor time used so far, all threads, user and kernel.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold blanks; behind it the 12th and 13th are utime and stime.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
        let mut time = || times.next().context("/proc/PID/stat is too short");
        let ticks = time()?? + time()??;
        Ok(Duration::from_secs(1) * ticks / TICKS)
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u32 = kib.context("/proc/PID/status has no VmRSS")?.trim().parse()?;
        Ok(f64::from(kib) / 1024.0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
