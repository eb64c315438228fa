//! The program, started and stopped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The token that the tests sign with, and what they say Twilio calls.
pub(crate) const TOKEN: &str = "7f3c1e0b9a8d4c6f5e2b1a0d9c8f7e6b";
pub(crate) const PUBLIC: &str = "https://sms.example.com";

/// How the program is started: environment variables, and no others.
#[derive(Clone)]
pub(crate) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// No setting at all.
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// A local service that keeps its texts at `database_url`, and lets everybody in.
    pub(crate) fn local(database_url: &str) -> Self {
        Self::none()
            .with("APP_ENV", "local")
            .with("API_AUTH", "off")
            .with("PORT", "0")
            .with("LOG_FORMAT", "json")
            .with("PUBLIC_BASE_URL", PUBLIC)
            .with("TWILIO_AUTH_TOKEN", TOKEN)
            .with("SHUTDOWN_DELAY", "0s")
            .with("DATABASE_URL", database_url)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, value.to_owned());
        self
    }

    /// The same with keys.
    pub(crate) fn with_keys(self, entries: &str) -> Self {
        self.with("API_AUTH", "on").with("API_KEYS", entries)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sms-foundation"));
        command.env_clear().envs(&self.0);
        command
    }

    /// Runs a command of the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }
}

/// A running service; it is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) url: String,
}

impl Service {
    /// Starts the program and waits until it is ready.
    pub(crate) fn start(settings: &Settings) -> Self {
        let service = Self::start_unready(settings);
        let ready = format!("{}/health/ready", service.url);
        service.wait_for("the service to be ready", || status_of(&ready) == Some(200));
        service
    }

    /// Starts the program and waits until it listens.
    pub(crate) fn start_unready(settings: &Settings) -> Self {
        let mut child = settings.command().stdout(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (BufReader::new(child.stdout.take().unwrap()).lines(), log.clone());
        thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line.unwrap())));
        let mut service = Self { child, log, url: String::new() };
        service.wait_for("the service to listen", || service.address().is_some());
        service.url = format!("http://{}", service.address().unwrap());
        service
    }

    fn address(&self) -> Option<String> {
        let listening = |line: &Value| line["msg"] == "listening";
        let lines = self.log().into_iter().filter_map(|line| serde_json::from_str(&line).ok());
        lines.into_iter().find(listening).map(|line| line["address"].as_str().unwrap().to_owned())
    }

    /// Waits until `done`; fails after half a minute.
    pub(crate) fn wait_for(&self, what: &str, done: impl Fn() -> bool) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < patience, "waited in vain for {what}: {:?}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The lines that it has logged.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// How much memory it has, in KiB.
    pub(crate) fn resident_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How much processor time it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name in brackets, which may hold blanks, the 12th and 13th are its own time and
        // the kernel's for it, in hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// How many files and connections it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and gives its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.code()
    }

    /// Asks it to stop; when.
    pub(crate) fn ask_to_stop(&self) -> Instant {
        self.signal("TERM");
        Instant::now()
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.pid().to_string());
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code, once it has ended.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// `GET` a path.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = client().get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP client that waits no longer than Twilio does.
pub(crate) fn client() -> reqwest::Client {
    client_that_waits(Duration::from_secs(15))
}

/// An HTTP client that waits so long for an answer.
pub(crate) fn client_that_waits(patience: Duration) -> reqwest::Client {
    // reqwest wants a TLS provider even where nothing is encrypted; a second one is refused.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(patience).build().unwrap()
}

/// The status of a plain `GET`, without a runtime; `None` where nobody answers.
fn status_of(url: &str) -> Option<u16> {
    use std::io::{Read, Write};

    let (address, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
