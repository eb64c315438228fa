//! A collector that takes OTLP over HTTP and keeps the spans.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Keeps what it is sent.
pub(crate) struct Collector {
    pub(crate) url: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    metrics: Vec<String>,
    services: Vec<String>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::<Mutex<Kept>>::default();
        let all = kept.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let all = all.clone();
                thread::spawn(move || serve(&connection, &all));
            }
        });
        Self { url, kept }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.lock().unwrap().spans.clone()
    }

    /// The names of the metrics that came.
    pub(crate) fn metrics(&self) -> Vec<String> {
        self.kept.lock().unwrap().metrics.clone()
    }

    /// The names of the services that sent something.
    pub(crate) fn services(&self) -> Vec<String> {
        self.kept.lock().unwrap().services.clone()
    }
}

/// Answers the requests of one connection.
fn serve(connection: &TcpStream, kept: &Mutex<Kept>) {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    while let Some((path, body)) = request(&mut reader) {
        kept.lock().unwrap().take(&path, &body);
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

impl Kept {
    fn take(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/traces" => {
                let sent = ExportTraceServiceRequest::decode(body).unwrap();
                for of_resource in sent.resource_spans {
                    let attributes = of_resource.resource.unwrap().attributes;
                    let name = attributes.iter().find(|pair| pair.key == "service.name");
                    self.services.push(format!("{:?}", name.unwrap().value));
                    for of_scope in of_resource.scope_spans {
                        self.spans.extend(of_scope.spans);
                    }
                }
            }
            "/v1/metrics" => {
                let sent = ExportMetricsServiceRequest::decode(body).unwrap();
                for of_scope in sent.resource_metrics.into_iter().flat_map(|of| of.scope_metrics) {
                    self.metrics.extend(of_scope.metrics.into_iter().map(|metric| metric.name));
                }
            }
            other => panic!("nothing is sent to {other}"),
        }
    }
}
