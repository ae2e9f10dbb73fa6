//! A request for the URL of a suspended unit, which starts the unit, and the answers on the way to the unit's own.

use std::time::Duration;

use anyhow::ensure;
use computing_unit_api::names::headers::UNIT;

use super::show::{Way, headers};
use crate::traffic::follow;

/// How long the unit may take to answer.
const LIMIT: Duration = Duration::from_mins(1);

/// Asks for the URL in sight until the unit with this UID answers.
///
/// # Errors
/// If it does not, or not in time.
pub async fn ask(way: &Way, uid: &str) -> anyhow::Result<()> {
    println!("$ curl -iL '{}'", way.url());
    let answer = follow(way.address, &way.host, &way.path, LIMIT, |answer| {
        println!("{}   after {:.3} s", answer.status, answer.took.as_secs_f64());
        headers(answer);
    })
    .await?;
    let by = answer.by();
    ensure!(by.route.as_deref() == Some(uid), "{UNIT} is not {uid}: answered by {by}");
    println!("{}", answer.start(400));
    Ok(())
}
