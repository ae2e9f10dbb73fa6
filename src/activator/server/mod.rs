//! Answers the requests that come by the entries of pools: from memory, but for the one write that starts a unit.
//!
//! Who may ask is not decided here: a request that the gateway refuses does not arrive.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use computing_unit_api::names::headers;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use kube::{Client, ResourceExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    hold::{Held, Room},
    index::{Found, Index},
    page,
    request::{self, Asker},
    situation::{Situation, situation},
    wake::Wakes,
    watch,
};
use crate::{
    health::Gates,
    metrics::{ActivatorOutcome, Metrics},
};

/// Answers on `listener` for the pools of `namespaces`, or of all, until `end`; then lets go whoever is held.
///
/// # Errors
/// If the system takes the address away.
pub async fn serve(
    listener: TcpListener,
    client: Client,
    namespaces: &[String],
    metrics: Arc<Metrics>,
    gates: &Gates,
    end: CancellationToken,
) -> io::Result<()> {
    let index = Arc::new(Index::default());
    // Dropped at the end, which ends them.
    let _watches = watch::follow(&client, namespaces, &index, &metrics, gates);
    let entries = Arc::new(Entries {
        index,
        wakes: Wakes::new(client, metrics.clone()),
        room: Room::new(metrics.clone(), end.clone()),
        metrics,
    });
    axum::serve(listener, router(entries)).with_graceful_shutdown(end.cancelled_owned()).await
}

fn router(entries: Arc<Entries>) -> Router {
    Router::new().fallback(answer).with_state(entries)
}

struct Entries {
    index: Arc<Index>,
    wakes: Wakes,
    room: Room,
    metrics: Arc<Metrics>,
}

async fn answer(State(entries): State<Arc<Entries>>, request: Request) -> Response {
    // The body is of no interest: whoever sent it sends it again to the unit.
    let (parts, _) = request.into_parts();
    let asker = Asker::of(&parts.method, &parts.headers);
    let reply = if asker == Asker::Probe {
        Reply::say(Answer { outcome: ActivatorOutcome::Probe, ..Answer::unknown() })
    } else {
        entries.reply(&parts, asker).await
    };
    match reply {
        Reply::Go => {
            entries.metrics.activator.answered(ActivatorOutcome::Redirected);
            redirect(&request::same_place(&parts.uri))
        }
        Reply::Say(answer) => {
            entries.metrics.activator.answered(answer.outcome);
            say(&answer, asker, &request::same_place(&parts.uri))
        }
    }
}

enum Reply {
    /// To the same place, where the unit answers by now.
    Go,
    /// In words.
    Say(Box<Answer>),
}

impl Reply {
    fn say(answer: Answer) -> Self {
        Self::Say(Box::new(answer))
    }
}

impl Entries {
    fn find(&self, parts: &Parts) -> Option<Found> {
        let pool = self.index.pool(parts.headers.get(headers::POOL)?.to_str().ok()?)?;
        let key = request::key(&pool.spec.routing, &parts.uri, host(parts))?;
        self.index.find(&pool, &key)
    }

    async fn reply(&self, parts: &Parts, asker: Asker) -> Reply {
        let Some(Found { unit, entry, lookup_host }) = self.find(parts) else {
            return Reply::say(if self.index.is_complete() { Answer::unknown() } else { Answer::not_yet() });
        };
        // What was authorized is the unit of that name. Where it is another, nothing was.
        if lookup_host.is_some_and(|wanted| !host(parts).is_some_and(|host| request::is_host(host, &wanted))) {
            return Reply::say(Answer::misdirected());
        }
        let seen = unit.borrow().clone();
        let uid = seen.uid().unwrap_or_default();
        let starts = match situation(&seen) {
            Situation::Suspended if entry.wake_on_request && asker != Asker::Page => {
                self.wakes.wake(unit.clone());
                true
            }
            Situation::Suspended | Situation::Starting => self.wakes.under_way(&uid),
            _ => false,
        };
        if !(starts && asker == Asker::Client) {
            return Reply::say(Answer::of(&seen, starts));
        }
        let limit = request::patience(&parts.headers).map_or(entry.hold.0, |patience| patience.min(entry.hold.0));
        let held = self.room.hold(unit.clone(), limit).await;
        let now = unit.borrow().clone();
        let starts = self.wakes.under_way(&uid);
        match held {
            Held::Settled(Situation::Ready) => Reply::Go,
            Held::Settled(Situation::Gone) => Reply::say(Answer::unknown()),
            Held::Settled(_) => Reply::say(Answer::of(&now, starts)),
            Held::Expired => Reply::say(Answer { outcome: ActivatorOutcome::Expired, ..Answer::of(&now, true) }),
            Held::Full => Reply::say(Answer { outcome: ActivatorOutcome::Full, ..Answer::of(&now, true) }),
        }
    }
}

fn host(parts: &Parts) -> Option<&str> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or(parts.uri.host())
}

/// 307 keeps method and body. Nobody may remember it: the next time the unit may be suspended again.
fn redirect(place: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    match HeaderValue::try_from(place) {
        Ok(place) => drop(response.headers_mut().insert(header::LOCATION, place)),
        Err(_) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
    }
    common(response.headers_mut());
    response
}

fn say(answer: &Answer, asker: Asker, place: &str) -> Response {
    let html = asker == Asker::Browser;
    let body = match (html, answer.status) {
        (true, StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST) => page::missing(answer),
        (true, _) => page::waiting(answer, place),
        (false, _) => answer.problem().to_string(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = answer.status;
    let all = response.headers_mut();
    common(all);
    let kind = if html { "text/html; charset=utf-8" } else { "application/problem+json" };
    all.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = answer.retry_after {
        all.insert(header::RETRY_AFTER, seconds.into());
    }
    if html {
        all.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if let Ok(policy) = HeaderValue::from_str(&page::POLICY) {
            all.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    response
}

fn common(all: &mut HeaderMap) {
    all.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    all.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // One address has an answer for people and one for programs.
    all.insert(header::VARY, HeaderValue::from_static("accept"));
}

#[cfg(test)]
mod tests;
