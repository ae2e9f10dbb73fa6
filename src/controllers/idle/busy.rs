//! What a unit's engine says when it is asked whether work runs. Anything but a clear answer says nothing.

use computing_unit_api::BusyProbe;
use serde::Deserialize;

use super::{
    fetch::{self, Question},
    readings::Unreadable,
    watched::Watched,
};
use crate::metrics::Unread;

/// The longest answer.
const LONGEST: usize = 64 * 1024;

#[derive(Deserialize)]
struct Answer {
    busy: bool,
}

/// Asks the unit's engine.
pub async fn ask(watched: &Watched, probe: &BusyProbe) -> Result<bool, Unreadable> {
    let port = u16::try_from(probe.port.unwrap_or_else(|| watched.port())).unwrap_or_default();
    let question =
        Question { address: &watched.address, port, path: &probe.path, time: probe.timeout.0, bytes: LONGEST };
    answer(question).await.map_err(|why| why.of("the busy probe cannot be read: the pod"))
}

async fn answer(question: Question<'_>) -> Result<bool, Unreadable> {
    let mut text = Vec::new();
    let keep = |piece: &[u8]| {
        text.extend_from_slice(piece);
        Ok(())
    };
    fetch::get(question, keep).await?;
    let answer: Answer = serde_json::from_slice(&text).map_err(|_| {
        Unreadable::new(Unread::Garbled, "answers with something else than {\"busy\": true} or {\"busy\": false}")
    })?;
    Ok(answer.busy)
}
