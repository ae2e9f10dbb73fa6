//! kubectl's options for the grace period of a deletion. A unit has none: the finalizer closes its route before its pod
//! stops, and the pod stops within the grace period of the pool. Only values that change nothing are accepted.

use crate::values::switch;

/// The grace period of a deletion.
#[derive(Debug, clap::Args)]
#[command(mut_arg("now", |now| switch(now).value_parser(off)), mut_arg("force", |force| switch(force).value_parser(off)))]
pub struct GraceArgs {
    /// Not supported, except -1: the grace period is terminationGracePeriodSeconds of the pool
    #[arg(long, value_name = "SECONDS", default_value = "-1", allow_hyphen_values = true, value_parser = default_period)]
    grace_period: i64,

    /// Not supported, for the same reason
    #[arg(long, default_value = "false")]
    now: bool,

    /// Not supported: the finalizer of a unit closes its route before its pod stops
    #[arg(long, default_value = "false")]
    force: bool,
}

/// What takes the place of the options.
const INSTEAD: &str = "a deleted unit closes its route, and its pod then has terminationGracePeriodSeconds of the pool to \
                       stop. To end the pod without waiting, run kubectl delete pod NAME --grace-period=1 after the deletion";

fn default_period(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(-1),
        Ok(_) => Err(INSTEAD.to_owned()),
        Err(_) => Err("must be a number of seconds".to_owned()),
    }
}

fn off(text: &str) -> Result<bool, String> {
    match text {
        "false" => Ok(false),
        "true" => Err(INSTEAD.to_owned()),
        _ => Err("must be true or false".to_owned()),
    }
}
