//! A client that follows redirects within one host, and retries as `Retry-After` specifies.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer::Answer;
use super::connection::Connection;
use super::target::Target;

/// The next step of a client.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// None: the response is final.
    Stay,
    /// Follow a redirect to this path.
    Go(String),
    /// Retry after this time.
    Again(Duration),
    /// None: the request failed.
    GiveUp,
}

/// Requests `path` (including the query) of `host` at `address` until there is a 200, and reports each response. The
/// connection is reused until the peer closes it, like in browsers.
///
/// # Errors
/// If there is a final response other than 200, or no 200 within `limit`.
pub async fn follow(
    address: SocketAddr,
    host: &str,
    path: &str,
    limit: Duration,
    mut tell: impl FnMut(&Answer),
) -> anyhow::Result<Answer> {
    let end = Instant::now() + limit;
    let mut path = path.to_owned();
    let mut kept: Option<Connection> = None;
    loop {
        let target = Target::new(host, &path)?;
        let ask = async {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Connection::open(address).await?,
            };
            if connection.closed().await {
                connection = Connection::open(address).await?;
            }
            let answer = connection.send(&target).await?;
            anyhow::Ok((connection, answer))
        };
        let (connection, answer) = timeout_at(end, ask).await.context("no response in time")??;
        kept = Some(connection);
        tell(&answer);
        match next(answer.status, &answer.headers) {
            Next::Stay => return Ok(answer),
            Next::Go(elsewhere) => path = elsewhere,
            Next::Again(pause) => sleep_until(end.min(Instant::now() + pause)).await,
            Next::GiveUp => bail!("answered with {}: {}", answer.status, answer.start(400)),
        }
        ensure!(Instant::now() < end, "no 200 within {limit:?}; last: {}", answer.status);
    }
}

fn next(status: StatusCode, headers: &HeaderMap) -> Next {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match status {
        StatusCode::OK => Next::Stay,
        StatusCode::TEMPORARY_REDIRECT => text(LOCATION)
            .filter(|location| location.starts_with('/') && !location.starts_with("//"))
            .map_or(Next::GiveUp, |location| Next::Go(location.to_owned())),
        StatusCode::SERVICE_UNAVAILABLE => text(RETRY_AFTER)
            .and_then(|seconds| seconds.parse().ok())
            .map_or(Next::GiveUp, |seconds| Next::Again(Duration::from_secs(seconds))),
        _ => Next::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_followed_and_delays_kept() {
        let with = |name, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        for (status, headers, expected) in [
            (200, HeaderMap::new(), Next::Stay),
            (307, with(LOCATION, "/wsapi?cuid=42"), Next::Go("/wsapi?cuid=42".to_owned())),
            (307, with(LOCATION, "//elsewhere/wsapi"), Next::GiveUp),
            (307, with(LOCATION, "http://elsewhere/wsapi"), Next::GiveUp),
            (307, HeaderMap::new(), Next::GiveUp),
            (503, with(RETRY_AFTER, "2"), Next::Again(Duration::from_secs(2))),
            (503, with(RETRY_AFTER, "Wed, 21 Oct 2026 07:28:00 GMT"), Next::GiveUp),
            (503, HeaderMap::new(), Next::GiveUp),
            (404, HeaderMap::new(), Next::GiveUp),
        ] {
            assert_eq!(next(StatusCode::from_u16(status).unwrap(), &headers), expected, "{status} {headers:?}");
        }
    }
}
