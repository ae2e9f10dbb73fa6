//! Asks a unit's engine whether it is working. Any response without a valid report makes the signal unreadable.

use computing_unit_api::BusyProbe;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::{
    expression::{Report, Response},
    expressions::Expressions,
    fetch::{self, Get},
    readings::Unreadable,
    tracked::TrackedUnit,
};
use crate::metrics::UnreadableReason;

const MAX_BYTES: usize = 64 * 1024;

/// Sends one of the pool's probes to a unit. `now` is the time of the scan.
pub async fn read(
    unit: &TrackedUnit,
    probe: &BusyProbe,
    expressions: &Expressions,
    now: Timestamp,
) -> Result<Report, Unreadable> {
    let port = u16::try_from(probe.port.unwrap_or_else(|| unit.port())).unwrap_or_default();
    let timeout = probe.timeout.0;
    let any_status = probe.expression.is_some();
    let path = probe.path.replace("{unit}", &unit.unit.name_any());
    let get = Get { address: &unit.address, port, path: &path, timeout, max_bytes: MAX_BYTES, any_status };
    let response = request(get).await.map_err(|error| error.about("busy probe failed: the pod"))?;
    let Some(text) = &probe.expression else {
        return busy(&response).map_err(|error| error.about("busy probe failed: the pod"));
    };
    let invalid = |problem: String| {
        let message = format!("busy probe {path:?} failed: cannot evaluate its expression: {problem}");
        Unreadable::new(UnreadableReason::Invalid, message)
    };
    match expressions.get(text).as_ref() {
        Ok(expression) => expression.evaluate(&response, now).map_err(|error| invalid(error.to_string())),
        Err(error) => Err(invalid(error.to_string())),
    }
}

async fn request(get: Get<'_>) -> Result<Response, Unreadable> {
    let mut body = Vec::new();
    let append = |chunk: &[u8]| {
        body.extend_from_slice(chunk);
        Ok(())
    };
    let status = fetch::get(get, append).await?;
    Ok(Response { status: status.as_u16(), json: serde_json::from_slice(&body).unwrap_or_default() })
}

/// The report of a probe without an expression.
fn busy(response: &Response) -> Result<Report, Unreadable> {
    let busy = response.json.get("busy").and_then(serde_json::Value::as_bool);
    busy.map(Report::Busy).ok_or_else(|| {
        let problem = "responded with something other than {\"busy\": true} or {\"busy\": false}";
        Unreadable::new(UnreadableReason::Invalid, problem)
    })
}
