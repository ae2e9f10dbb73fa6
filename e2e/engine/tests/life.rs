//! The engine as a process on a loopback port: what it answers, and how it starts and ends.

#![allow(clippy::unwrap_used)]

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::{Client, Method, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const SOON: Duration = Duration::from_secs(10);

struct Engine {
    child: Child,
    log: Lines<BufReader<ChildStdout>>,
}

impl Engine {
    fn start(env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_engine"))
            .env_clear()
            .envs([("COMPUTING_UNIT_NAME", "ada"), ("PORT", "0")])
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, log }
    }

    /// The rest of the next line of the log that has `text` in it.
    async fn logged(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let line = self.log.next_line().await.unwrap().expect("the engine has ended");
                if let Some((_, rest)) = line.split_once(text) {
                    return rest.to_owned();
                }
            }
        };
        timeout(SOON, found).await.unwrap_or_else(|_| panic!("{text:?} is not in the log"))
    }

    async fn authority(&mut self) -> String {
        format!("127.0.0.1:{}", self.logged("ada listens on port ").await)
    }

    fn terminate(&self) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    async fn ended(mut self) -> ExitStatus {
        timeout(SOON, self.child.wait()).await.unwrap().unwrap()
    }
}

async fn ask(method: Method, url: &str) -> Response {
    Client::new().request(method, url).header("x-user-id", "7").send().await.unwrap()
}

async fn get(url: &str) -> Response {
    ask(Method::GET, url).await
}

#[tokio::test]
async fn any_request_is_told_who_answers_and_what_arrived() {
    let mut engine = Engine::start(&[]);
    let authority = engine.authority().await;
    let response = get(&format!("http://{authority}/api/executions/1/stats/2?cuid=42")).await;
    assert_eq!(response.headers()["x-engine"], "ada");
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["unit"], "ada");
    assert_eq!(answer["part"], "stats");
    assert_eq!(answer["query"], "cuid=42");
    assert_eq!(answer["headers"], json!({"host": authority, "x-user-id": "7"}));

    for path in ["/wsapi?cuid=42", "/api/pve", "/api/executions/result/export", "/"] {
        let head = ask(Method::HEAD, &format!("http://{authority}{path}")).await;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(head.headers()["x-engine"], "ada", "{path}");
    }
}

#[tokio::test]
async fn both_kinds_of_websockets_echo() {
    let mut engine = Engine::start(&[]);
    let authority = engine.authority().await;
    for path in ["/wsapi/workflow-websocket?cuid=42", "/api/pve/terminal?cuid=42"] {
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{authority}{path}")).await.unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"), "{path}");
    }
}

#[tokio::test]
async fn health_is_set_by_a_post_and_by_time() {
    let mut engine = Engine::start(&[("UNREADY_AFTER", "0.01")]);
    let health = format!("http://{}/api/healthcheck", engine.authority().await);
    engine.logged("health checks fail").await;
    assert_eq!(get(&health).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for (healthy, status) in [(true, StatusCode::OK), (false, StatusCode::SERVICE_UNAVAILABLE)] {
        let set = ask(Method::POST, &format!("{health}?healthy={healthy}")).await;
        assert_eq!(set.json::<Value>().await.unwrap()["healthy"], healthy);
        assert_eq!(get(&health).await.status(), status);
    }
    assert_eq!(ask(Method::POST, &health).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_export_is_as_long_as_the_request_or_the_environment_says() {
    let mut engine = Engine::start(&[("EXPORT_CHUNKS", "2"), ("EXPORT_INTERVAL_MS", "0")]);
    let export = format!("http://{}/api/executions/result/export", engine.authority().await);
    assert_eq!(get(&export).await.text().await.unwrap(), "1 of 2 by ada\n2 of 2 by ada\n");
    assert_eq!(get(&format!("{export}?chunks=1")).await.text().await.unwrap(), "1 of 1 by ada\n");
    assert_eq!(get(&format!("{export}?chunks=many")).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_drain_answers_and_finishes_streams_and_ends_with_the_last_connection() {
    let mut engine = Engine::start(&[("DRAIN", "60")]);
    let authority = engine.authority().await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{authority}/wsapi")).await.unwrap();
    let export = get(&format!("http://{authority}/api/executions/result/export?chunks=20&interval_ms=10")).await;
    engine.terminate();
    engine.logged("draining").await;

    let health = get(&format!("http://{authority}/api/healthcheck")).await;
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.headers()["connection"], "close");
    assert_eq!(get(&format!("http://{authority}/api/pve")).await.status(), StatusCode::OK);
    assert_eq!(export.text().await.unwrap().lines().last(), Some("20 of 20 by ada"));
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still here"));
    drop(socket);
    engine.logged("all connections are closed").await;
    assert!(engine.ended().await.success());
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let mut engine = Engine::start(&[("DRAIN", "0.05")]);
    let authority = engine.authority().await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{authority}/wsapi")).await.unwrap();
    engine.terminate();
    engine.logged("drain timeout with 1 connections open").await;
    assert!(engine.ended().await.success());
    assert!(!matches!(socket.next().await, Some(Ok(_))), "the WebSocket is open");
}

#[tokio::test]
async fn a_start_can_fail_and_be_given_up() {
    let mut failing = Engine::start(&[("FAIL_START", "3"), ("FAIL_MESSAGE", "no license")]);
    let mut words = BufReader::new(failing.child.stderr.take().unwrap()).lines();
    assert_eq!(words.next_line().await.unwrap().as_deref(), Some("no license"));
    assert_eq!(failing.ended().await.code(), Some(3));

    let mut slow = Engine::start(&[("START_DELAY", "60")]);
    slow.logged("starting").await;
    slow.terminate();
    slow.logged("terminated before start").await;
    assert!(slow.ended().await.success());
}

#[tokio::test]
async fn a_crash_comes_when_it_is_due() {
    let mut engine = Engine::start(&[("UNREADY_AFTER", "0.01"), ("CRASH_AFTER", "0.02")]);
    engine.logged("health checks fail").await;
    assert_eq!(engine.ended().await.code(), Some(1));
}
