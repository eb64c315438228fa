//! `twilio-sim run`, with programs that behave like a service, or worse.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder that goes away, with a program in it.
struct Stage {
    folder: PathBuf,
    port: u16,
}

impl Stage {
    /// The program is a script. What it gets is in `$PORT` and the like, `$0` is in the folder.
    fn set(name: &str, script: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("twilio-sim-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("service");
        let text = format!("#!/bin/sh\ncd \"${{0%/*}}\"\necho $$ >pid\n{script}\n");
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, port: free_port() }
    }

    fn run(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_twilio-sim"))
            .arg("run")
            .args(["--port", &self.port.to_string(), "--sim-port", &free_port().to_string()])
            .arg("--service")
            .arg(self.folder.join("service"))
            .args(["--set", "EXTRA=given"])
            .env("DATABASE_URL", "postgres://the-real-one")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn said(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(file)).ok().filter(|text| text.ends_with('\n'))
    }

    fn is_running(&self) -> bool {
        let pid = self.said("pid").unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
        // Where its parent was killed it may stay as a zombie for a moment.
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Free when it is taken, but for a coincidence.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn soon(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Says that it is ready to whoever asks on that port.
fn be_ready(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
}

const WAITING: &str =
    "trap 'echo stopped >stopped; exit 0' TERM\nenv >env\nwhile :; do sleep 0.05; done";

#[test]
fn both_are_started_described_in_three_lines_and_stopped() {
    let stage = Stage::set("both", WAITING);
    let mut running = stage.run();
    soon("the service to start", || stage.said("env").is_some());
    be_ready(stage.port);
    let lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).take(3).collect();
    for (line, begin) in
        lines.iter().zip(["  Open  http://127.0.0.1:", "  Read  http", "  Try   curl "])
    {
        assert!(line.starts_with(begin), "{line}");
    }
    let environment = stage.said("env").unwrap();
    for setting in ["APP_ENV=local", "EXTRA=given", &format!("PORT={}", stage.port)] {
        assert!(environment.lines().any(|line| line == setting), "{setting}");
    }
    assert!(!environment.contains("the-real-one"), "nothing is tried out on the real database");

    signal(&running, "-INT");
    assert!(running.wait().unwrap().success());
    assert!(stage.said("stopped").is_some(), "the service could put things in order");
    assert!(!stage.is_running());
}

#[test]
fn a_service_that_ends_is_told_of() {
    let stage = Stage::set("ends", "echo 'PORT: must be a port' >&2\nexit 78");
    let output = stage.run().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PORT: must be a port"), "{said}");
    assert!(said.contains("The service has ended (exit code 78)"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_whose_twilio_is_killed_ends_too() {
    let stage = Stage::set("killed", WAITING);
    let mut running = stage.run();
    soon("the service to start", || stage.said("env").is_some());
    assert!(stage.is_running());
    running.kill().unwrap();
    running.wait().unwrap();
    soon("the service to end", || !stage.is_running());
    assert!(stage.said("stopped").is_some());
}

#[test]
fn a_port_that_is_taken_is_named_before_anything_starts() {
    let stage = Stage::set("taken", WAITING);
    let _taken = TcpListener::bind(("127.0.0.1", stage.port)).unwrap();
    let output = stage.run().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("Port {} is taken", stage.port)), "{said}");
    assert!(said.contains(&format!("make run PORT={}", stage.port + 1)), "{said}");
    assert!(stage.said("pid").is_none());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let stage = Stage::set("missing", WAITING);
    std::fs::remove_file(stage.folder.join("service")).unwrap();
    let output = stage.run().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no program"));
}
