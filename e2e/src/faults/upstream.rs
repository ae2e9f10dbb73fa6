//! Forwards a call to the API server and returns the response: whole bodies, watches, and upgraded connections.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;

/// Hop-by-hop headers, which are not forwarded (RFC 9110, 7.6.1), and the host, which the client sets.
const HOP_BY_HOP: [HeaderName; 2] = [HOST, TRANSFER_ENCODING];
/// Hop-by-hop headers that are not forwarded unless the connection is upgraded.
const OF_UPGRADES: [HeaderName; 2] = [CONNECTION, UPGRADE];

/// The body of a response.
pub(super) type Stream = UnsyncBoxBody<Bytes, kube::Error>;

/// A request with its complete body.
pub(super) struct Whole {
    head: http::request::Parts,
    /// The body.
    pub(super) body: Bytes,
    upgrade: Option<OnUpgrade>,
}

impl Whole {
    /// Reads the body of a request.
    pub(super) async fn read(mut request: Request<Incoming>) -> anyhow::Result<Self> {
        let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.context("the body of the operator's request")?.to_bytes();
        strip(&mut head.headers, upgrade.is_some());
        Ok(Self { head, body, upgrade })
    }
}

/// The time at which its holder renewed a Lease, in the body of a request.
const RENEW_TIME: &str = "/spec/renewTime";

impl Whole {
    /// Moves the time at which a Lease was renewed by `offset`. A body without that time stays.
    pub(super) fn skew(&mut self, offset: SignedDuration) {
        let Ok(mut lease) = serde_json::from_slice::<Value>(&self.body) else { return };
        let Some(renewed) = lease.pointer_mut(RENEW_TIME) else { return };
        let time = renewed.as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let Some(skewed) = time.and_then(|time| time.checked_add(offset).ok()) else { return };
        *renewed = json!(format!("{skewed:.6}"));
        self.body = lease.to_string().into();
        self.head.headers.remove(CONTENT_LENGTH);
    }
}

/// The API server. Upgraded connections end when `closed` is cancelled.
pub(super) struct Upstream {
    client: Client,
    closed: CancellationToken,
}

impl Upstream {
    /// The API server of `client`.
    pub(super) fn new(client: Client, closed: CancellationToken) -> Self {
        Self { client, closed }
    }

    /// Sends a request to the API server. The body of the response is streamed, which a watch needs, and ends at the
    /// latest when `end` completes.
    pub(super) async fn ask(
        self: &Arc<Self>,
        request: Whole,
        end: Option<impl Future<Output = ()> + Send + 'static>,
    ) -> anyhow::Result<Response<Stream>> {
        let Whole { head, body, upgrade } = request;
        let request = Request::from_parts(head, Body::from(body.to_vec()));
        let mut response = self.client.send(request).await.context("the API server")?;
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        strip(response.headers_mut(), switched);
        if switched && let Some(operator) = upgrade {
            let server = hyper::upgrade::on(&mut response);
            tokio::spawn(Arc::clone(self).tunnel(operator, server));
        }
        Ok(response.map(|body| match end {
            None => body.boxed_unsync(),
            Some(end) => {
                let frames = body.into_data_stream().map(|chunk| chunk.map(Frame::data));
                StreamBody::new(frames.take_until(end)).boxed_unsync()
            }
        }))
    }

    /// Copies bytes in both directions until either side or the proxy closes the connection.
    async fn tunnel(self: Arc<Self>, operator: OnUpgrade, server: OnUpgrade) {
        let carry = async {
            let (operator, server) = futures::try_join!(operator, server)?;
            // The two ends handle a connection that is closed unexpectedly.
            let _ = copy_bidirectional(&mut TokioIo::new(operator), &mut TokioIo::new(server)).await;
            Ok::<_, hyper::Error>(())
        };
        let _ = self.closed.run_until_cancelled(carry).await;
    }
}

/// A complete body.
pub(super) fn whole(body: Vec<u8>) -> Stream {
    Full::from(body).map_err(|never| match never {}).boxed_unsync()
}

fn strip(headers: &mut HeaderMap, upgrade: bool) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    for name in if upgrade { &[][..] } else { &OF_UPGRADES } {
        headers.remove(name);
    }
}
