//! The `/busy` endpoint, which reports whether work is running. It can also simulate failures of an engine.

use std::convert::Infallible;
use std::future::pending;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

/// The chunk size of an oversized answer.
const PIECE: usize = 64 * 1024;
/// The number of chunks: 1 GiB in total.
const PIECES: usize = 16 * 1024;

/// The configured answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Busy {
    /// Work is running.
    True,
    /// No work is running.
    #[default]
    False,
    /// Never answers.
    Hang,
    /// A body that is not JSON.
    Garbage,
    /// An oversized body.
    Huge,
}

/// The query of a PUT.
#[derive(Debug, Deserialize)]
pub struct BusyQuery {
    /// The answer from now on.
    pub answer: Busy,
}

#[derive(Serialize)]
struct Answer {
    busy: bool,
}

impl Busy {
    /// Builds the response.
    pub async fn respond(self) -> Response {
        match self {
            Self::True => axum::Json(Answer { busy: true }).into_response(),
            Self::False => axum::Json(Answer { busy: false }).into_response(),
            Self::Hang => pending().await,
            Self::Garbage => "<html>busy?</html>".into_response(),
            Self::Huge => {
                let spaces = stream::repeat(Bytes::from(vec![b' '; PIECE])).take(PIECES);
                Body::from_stream(spaces.map(Ok::<_, Infallible>)).into_response()
            }
        }
    }
}
