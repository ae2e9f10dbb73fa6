//! Asks a unit's engine whether it is working. Any response but a valid one makes the signal unreadable.

use computing_unit_api::BusyProbe;
use serde::Deserialize;

use super::{
    fetch::{self, Get},
    readings::Unreadable,
    tracked::TrackedUnit,
};
use crate::metrics::UnreadableReason;

const MAX_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
struct Response {
    busy: bool,
}

pub async fn read(unit: &TrackedUnit, probe: &BusyProbe) -> Result<bool, Unreadable> {
    let port = u16::try_from(probe.port.unwrap_or_else(|| unit.port())).unwrap_or_default();
    let get = Get { address: &unit.address, port, path: &probe.path, timeout: probe.timeout.0, max_bytes: MAX_BYTES };
    request(get).await.map_err(|error| error.about("busy probe failed: the pod"))
}

async fn request(get: Get<'_>) -> Result<bool, Unreadable> {
    let mut body = Vec::new();
    let append = |chunk: &[u8]| {
        body.extend_from_slice(chunk);
        Ok(())
    };
    fetch::get(get, append).await?;
    let response: Response = serde_json::from_slice(&body).map_err(|_| {
        let problem = "responded with something other than {\"busy\": true} or {\"busy\": false}";
        Unreadable::new(UnreadableReason::Invalid, problem)
    })?;
    Ok(response.busy)
}
