//! Passes a call on to the API server, and its answer back: whole bodies, streams of changes, and upgraded connections.
//! It changes nothing of what passes, and decides nothing.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;

/// Headers that are between two neighbours, and not passed on (RFC 9110, 7.6.1). The host is the next neighbour's name.
const HOP_BY_HOP: [HeaderName; 2] = [HOST, TRANSFER_ENCODING];
/// More of them, but not where a connection is to become something else than HTTP.
const OF_UPGRADES: [HeaderName; 2] = [CONNECTION, UPGRADE];

/// The body of an answer.
pub(super) type Stream = UnsyncBoxBody<Bytes, kube::Error>;

/// A request whose body was read.
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

/// The API server, as long as `closed` is not cancelled.
pub(super) struct Upstream {
    client: Client,
    closed: CancellationToken,
}

impl Upstream {
    /// The API server of `client`.
    pub(super) fn new(client: Client, closed: CancellationToken) -> Self {
        Self { client, closed }
    }

    /// Asks the API server. The body of the answer is still on its way, which a watch needs.
    /// It ends when `end` comes, if it has not ended before.
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

    /// Carries bytes both ways until either side, or the proxy, has enough.
    async fn tunnel(self: Arc<Self>, operator: OnUpgrade, server: OnUpgrade) {
        let carry = async {
            let (operator, server) = futures::try_join!(operator, server)?;
            // An end without a word is the business of the two at the ends.
            let _ = copy_bidirectional(&mut TokioIo::new(operator), &mut TokioIo::new(server)).await;
            Ok::<_, hyper::Error>(())
        };
        let _ = self.closed.run_until_cancelled(carry).await;
    }
}

/// A body that is all there.
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
