//! The log of `-v`, with an API server of one response.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

const LIST: &str = r#"{"apiVersion":"texera.apache.org/v1alpha1","kind":"ComputingUnitList","metadata":{},"items":[]}"#;

fn respond(mut client: TcpStream) {
    let head = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
    head.take_while(|line| !line.is_empty()).for_each(drop);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    write!(client, "{head}\r\ncontent-length: {}\r\n\r\n{LIST}", LIST.len()).unwrap();
}

/// What the plugin writes to stderr when it lists units. Its kubeconfig is empty: `--server` is enough.
fn log(level: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("--server=http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(respond));
    let mut plugin = Command::new(env!("CARGO_BIN_EXE_kubectl-cu"));
    plugin.args(["list", &server, "--token=secret", "--namespace=team", "-v", level]).env("KUBECONFIG", "/dev/null");
    let output = plugin.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    log
}

#[test]
fn requests_are_logged_without_the_token() {
    let request = "/apis/texera.apache.org/v1alpha1/namespaces/team/computingunits";
    for level in ["6", "8", "10"] {
        let log = log(level);
        assert!(log.contains(request) && log.contains("GET") && log.contains("200"), "{level}: {log}");
        assert!(!log.contains("secret"), "{level}: {log}");
    }
    let log = log("5");
    assert!(!log.contains(request), "{log}");
}
