//! Webhooks signed by Twilio's own SDK, over real HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::contract;
use crate::database::Database;
use crate::service::Service;

#[tokio::test]
async fn requests_of_the_official_sdk_are_answered_as_it_says_on_sqlite() {
    check_all(&Database::sqlite()).await;
}

#[tokio::test]
async fn requests_of_the_official_sdk_are_answered_as_it_says_on_postgres() {
    check_all(&Database::postgres()).await;
}

async fn check_all(database: &Database) {
    let Some(rows) = contract::lines("sdk_signed_requests.dev.jsonl") else { return };
    let mut bases: Vec<_> = rows.iter().map(|row| text(row, "public_base_url")).collect();
    bases.sort_unstable();
    bases.dedup();
    let mut stored = Vec::new();
    for base in bases {
        let settings = database.settings().with("PUBLIC_BASE_URL", base);
        let mut service = Service::start(&settings);
        let of_base =
            |row: &&Value| text(row, "public_base_url") == base && row["ambiguous"] != true;
        for row in rows.iter().filter(of_base) {
            let valid = row.get("valid_over_http").unwrap_or(&row["valid"]).as_bool().unwrap();
            let status = post(&service, row);
            let answered = if valid { (200..300).contains(&status) } else { status == 403 };
            assert!(answered, "{} ({}) was answered {status}", row["id"], row["why"]);
            if valid && text(row, "endpoint") == "sms" {
                stored.push(sid_of(row));
            }
        }
        assert_eq!(service.stop(), Some(0));
    }
    stored.sort_unstable();
    stored.dedup();
    let kept = database.everything().await.messages;
    let mut kept: Vec<_> =
        kept.iter().map(|kept| kept.message.twilio_sid.clone().unwrap()).collect();
    kept.sort_unstable();
    let kept: Vec<_> = kept.iter().map(|sid| sid.as_str().to_owned()).collect();
    assert_eq!(kept, stored, "exactly the genuine texts are kept");
}

/// Sends a row byte for byte: an HTTP library would tidy headers up.
fn post(service: &Service, row: &Value) -> u16 {
    let target = text(row, "url").strip_prefix(text(row, "public_base_url")).unwrap();
    let body = text(row, "raw_body");
    let host = service.url.strip_prefix("http://").unwrap();
    let header = |header: &Value| {
        let [name, value] = [&header[0], &header[1]].map(|part| part.as_str().unwrap());
        format!("{name}: {value}\r\n")
    };
    let headers: String = row["headers"].as_array().unwrap().iter().map(header).collect();
    let request = format!(
        "{} {target} HTTP/1.1\r\n{headers}Host: {host}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        text(row, "method"),
        body.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn sid_of(row: &Value) -> String {
    let params = row["params"].as_array().unwrap();
    let sid = params.iter().find(|pair| pair[0] == "MessageSid").unwrap();
    sid[1].as_str().unwrap().to_owned()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}
