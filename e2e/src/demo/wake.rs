//! A request for the URL of a suspended unit, which starts the unit, and the responses until the unit answers.

use std::time::Duration;

use anyhow::ensure;
use computing_unit_api::names::headers::UNIT;

use super::show::{ResolvedUrl, headers};
use crate::traffic::follow;

/// The deadline for the response of the unit.
const LIMIT: Duration = Duration::from_mins(1);

/// Requests the URL until the unit with this UID answers, and prints each response.
///
/// # Errors
/// If it does not answer in time.
pub async fn ask(url: &ResolvedUrl, uid: &str) -> anyhow::Result<()> {
    println!("$ curl -iL '{}'", url.url());
    let answer = follow(url.address, &url.host, &url.path, LIMIT, |answer| {
        println!("{}   after {:.3} s", answer.status, answer.took.as_secs_f64());
        headers(answer);
    })
    .await?;
    let by = answer.by();
    ensure!(by.route.as_deref() == Some(uid), "expected {UNIT}: {uid}, but the response is from {by}");
    println!("{}", answer.start(400));
    Ok(())
}
