//! The size of etcd's database. etcd is only reachable in the network namespace of the node.

use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cluster::layout::Layout;

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 2379);
/// The deadline of a request.
const DEADLINE: Duration = Duration::from_secs(30);
/// The bytes in use, without free pages.
const IN_USE: &str = "etcd_mvcc_db_total_size_in_use_in_bytes ";

/// Removes old revisions, and returns the bytes that are in use then.
///
/// # Errors
/// If etcd does not answer.
pub async fn compacted_size(layout: &Layout) -> anyhow::Result<u64> {
    let netns = format!("/run/netns/{}", layout.node());
    // A thread of its own, because it stays in that network namespace.
    let (tell, told) = tokio::sync::oneshot::channel();
    thread::spawn(move || tell.send(size(&netns)));
    told.await.context("the thread that asks etcd")?
}

fn size(netns: &str) -> anyhow::Result<u64> {
    let file = File::open(netns).with_context(|| netns.to_owned())?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    let status = request("POST", "/v3/maintenance/status", "{}")?;
    let (_, rest) = status.split_once("\"revision\":\"").with_context(|| format!("no revision: {status}"))?;
    let revision: u64 = rest.split('"').next().unwrap_or_default().parse()?;
    // It fails if the API server has just done the same.
    let _ = request("POST", "/v3/kv/compaction", &format!("{{\"revision\": \"{revision}\", \"physical\": true}}"));
    in_use(&request("GET", "/metrics", "")?)
}

fn in_use(metrics: &str) -> anyhow::Result<u64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(IN_USE)).context("no size in etcd's metrics")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
    Ok(line.trim().parse::<f64>()? as u64)
}

/// A request without any of HTTP's options.
fn request(method: &str, path: &str, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(ADDRESS), DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("not HTTP: {answer}"))?;
    ensure!(head.split(' ').nth(1) == Some("200"), "etcd answered {path} with {head}");
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_a_float_in_the_metrics() {
        let text = "# TYPE etcd_mvcc_db_total_size_in_use_in_bytes gauge\n\
                    etcd_mvcc_db_total_size_in_use_in_bytes 5.24288e+06\n";
        assert_eq!(in_use(text).unwrap(), 5_242_880);
        assert!(in_use("").is_err());
    }
}
