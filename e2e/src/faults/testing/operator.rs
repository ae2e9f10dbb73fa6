//! Tests of operator processes, with shell scripts as stand-ins.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{interval, timeout};

use super::super::{Operator, OperatorProcess};

const SOON: Duration = Duration::from_secs(5);
/// A stand-in that ignores SIGTERM.
const STUBBORN: &str = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";

/// A directory for one test, with a shell script as the program.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, script: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        // Another process writes the file: a child that another test forks at the same time could inherit the open
        // file of this process, and executing the script would fail with ETXTBSY.
        let write = r#"printf '#!/bin/sh\n' > "$0"; cat >> "$0"; chmod +x "$0""#;
        let mut sh = Command::new("/bin/sh");
        let mut sh = sh.args(["-c", write]).arg(path.join("operator")).stdin(Stdio::piped()).spawn().unwrap();
        sh.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
        Self(path)
    }

    fn operator(&self) -> Operator {
        Operator::new(Path::new("/the/kubeconfig"), &self.0.join("log")).program(&self.0.join("operator"))
    }

    async fn logged(&self, text: &str) -> String {
        let mut pace = interval(Duration::from_millis(5));
        let logged = async {
            loop {
                pace.tick().await;
                let log = fs::read_to_string(self.0.join("log")).unwrap_or_default();
                if log.contains(text) {
                    return log;
                }
            }
        };
        timeout(SOON, logged).await.unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Answers all requests on behalf of a process.
async fn answer_for(process: &OperatorProcess) {
    let listener = TcpListener::bind(process.http()).await.unwrap();
    let reply = |request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        std::future::ready(Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::from(path))))
    };
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(reply)));
        }
    });
}

#[tokio::test]
async fn an_operator_is_told_what_to_do() {
    let directory = Directory::new("operator-told", r#"echo "$KUBECONFIG" "$FLAVOUR" "$@" end"#);
    let operator = directory.operator().watch(&["a", "b"]).gateways(&["g"]).leader(None).leader(Some(("a", "one")));
    let mut process = operator.args(["--resync-period=5s"]).env("FLAVOUR", "plain").start().unwrap();
    let expected = format!(
        "/the/kubeconfig plain run --watch-namespaces=a,b --gateway-namespaces=g --resync-period=5s --leader-elect=true \
         --leader-election-namespace=a --identity=one --http-address={} end\n",
        process.http()
    );
    assert!(process.ended(SOON).await.unwrap().success());
    assert_eq!(directory.logged("end").await, expected);

    let alone = directory.operator().leader(None).start().unwrap();
    directory.logged("run --leader-elect=false").await;
    drop(alone);
    let nowhere = directory.operator().program(Path::new("/no/such/program")).start();
    assert!(nowhere.unwrap_err().to_string().contains("/no/such/program"));
}

#[tokio::test]
async fn an_operator_that_ends_is_not_ready_and_its_log_is_shown() {
    let directory = Directory::new("operator-ends", "echo out of luck; exit 7");
    let mut process = directory.operator().start().unwrap();
    let error = format!("{:#}", process.ready(SOON).await.unwrap_err());
    assert!(error.contains("out of luck") && error.contains("exit status: 7"), "{error}");
}

#[tokio::test]
async fn an_operator_is_ready_when_it_says_so_and_dies_when_it_is_killed() {
    let directory = Directory::new("operator-killed", STUBBORN);
    let mut process = directory.operator().start().unwrap();
    let id = process.id().unwrap();
    assert!(process.ready(Duration::from_millis(50)).await.is_err());
    answer_for(&process).await;
    process.ready(SOON).await.unwrap();
    assert_eq!(process.metrics().await.unwrap(), "/metrics");
    let memory = process.resident_memory().unwrap();
    assert!((100_000..1_000_000_000).contains(&memory), "{memory}");
    process.kill().await.unwrap();
    assert!(!Path::new(&format!("/proc/{id}")).exists());
}

#[tokio::test]
async fn a_restart_is_another_process_like_the_one_before() {
    // The script creates the directory before it prints the line that the test waits for, because a running mkdir
    // would outlive its shell.
    let script =
        r#"mkdir "$0.first"; second=$?; echo "as $$ $2"; [ $second = 0 ] || exit 9; while :; do sleep 0.05; done"#;
    let directory = Directory::new("operator-restarted", script);
    let process = directory.operator().leader(None).start().unwrap();
    let id = process.id().unwrap();
    directory.logged(&format!("as {id} --leader-elect=false\n")).await;
    let error = format!("{:#}", process.restart(SOON).await.unwrap_err());
    assert!(!Path::new(&format!("/proc/{id}")).exists(), "{id} is alive");
    assert!(error.contains("exit status: 9"), "{error}");
    let log = directory.logged(&id.to_string()).await;
    assert_eq!(log.matches("--leader-elect=false").count(), 2, "{log}");
}

#[tokio::test]
async fn an_operator_may_end_in_its_own_way() {
    let directory = Directory::new("operator-ended", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done");
    let process = directory.operator().start().unwrap();
    directory.logged("up").await;
    assert_eq!(process.terminate(SOON).await.unwrap().code(), Some(3));

    let directory = Directory::new("operator-stubborn", STUBBORN);
    let process = directory.operator().start().unwrap();
    directory.logged("deaf").await;
    let error = process.terminate(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("after SIGTERM"), "{error}");
}
