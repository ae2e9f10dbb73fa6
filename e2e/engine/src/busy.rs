//! Whether work runs, as a unit is asked: truly, or in one of the ways in which an engine can go wrong.

use std::convert::Infallible;
use std::future::pending;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

/// One piece of an answer that is too long.
const PIECE: usize = 64 * 1024;
/// How many pieces it has: 1 GiB in all.
const PIECES: usize = 16 * 1024;

/// What is answered.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Busy {
    /// Work runs.
    True,
    /// No work runs.
    #[default]
    False,
    /// Nothing, ever.
    Hang,
    /// Something that is no JSON.
    Garbage,
    /// JSON that does not end.
    Huge,
}

/// What the query of a PUT says.
#[derive(Debug, Deserialize)]
pub struct Told {
    /// What to answer from now on.
    pub answer: Busy,
}

#[derive(Serialize)]
struct Answer {
    busy: bool,
}

impl Busy {
    /// The answer.
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
