//! Servers that are started, hurt and left behind.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pg_cluster::{Cluster, Durability};

#[test]
fn a_server_comes_back_on_the_same_port_however_it_ended() {
    let mut cluster = Cluster::start(Durability::Default).unwrap();
    let url = cluster.url();
    assert!(accepts(&url));

    cluster.stop().unwrap();
    assert_eq!(cluster.pid(), None);
    assert!(!accepts(&url));
    cluster.start_again().unwrap();
    assert!(accepts(&url));
    assert!(cluster.start_again().is_err(), "it runs already");

    cluster.kill().unwrap();
    assert!(!accepts(&url));
    cluster.start_again().unwrap();
    assert_eq!(cluster.url(), url);
    assert!(accepts(&url));

    // A frozen server can be stopped, too.
    cluster.freeze().unwrap();
    cluster.stop().unwrap();
    assert!(!accepts(&url));
}

#[test]
fn a_server_goes_when_its_cluster_is_dropped() {
    let cluster = Cluster::start(Durability::Fast).unwrap();
    let (url, folder) = (cluster.url(), folder_of(cluster.pid().unwrap()));
    assert!(folder.is_dir());
    drop(cluster);
    assert!(!accepts(&url));
    assert!(!folder.exists());
}

#[test]
fn a_server_goes_when_the_process_that_started_it_is_killed() {
    let mut runner = Command::new(env!("CARGO_BIN_EXE_pg-cluster"))
        .args(["run", "sh", "-c", "echo $TEST_DATABASE_URL; read -r _"])
        .env_remove("TEST_DATABASE_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(runner.stdout.take().unwrap()).read_line(&mut url).unwrap();
    assert!(accepts(url.trim()));

    runner.kill().unwrap();
    runner.wait().unwrap();
    let start = Instant::now();
    while accepts(url.trim()) {
        assert!(start.elapsed() < Duration::from_secs(20), "it is left behind");
        thread::sleep(Duration::from_millis(20));
    }
}

fn accepts(url: &str) -> bool {
    let address = url.trim_start_matches("postgres://postgres@").trim_end_matches("/postgres");
    TcpStream::connect(address).is_ok()
}

/// The server works in its folder's `data`.
fn folder_of(pid: u32) -> PathBuf {
    let data = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    data.parent().unwrap().to_owned()
}
