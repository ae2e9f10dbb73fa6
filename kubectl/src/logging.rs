//! The log of `--v`, on stderr.

use std::io::stderr;

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Starts the log. Levels below 6 have no entries, as most commands of kubectl have none there.
pub fn start(verbosity: u8) {
    let Some(filter) = filter(verbosity) else { return };
    let log = tracing_subscriber::fmt().with_writer(stderr).with_env_filter(EnvFilter::new(filter));
    // A request is a span: its end has the status of the response and the duration.
    let _ = log.with_span_events(FmtSpan::CLOSE).try_init();
}

/// What is logged. Never headers, which have the token.
fn filter(verbosity: u8) -> Option<&'static str> {
    match verbosity {
        0..=5 => None,
        6 | 7 => Some("kube_client=debug"),
        8.. => Some("kube_client=trace,kube_runtime=trace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_logged_from_the_level_of_kubectl() {
        assert_eq!(filter(5), None);
        assert_eq!(filter(6), Some("kube_client=debug"));
        assert!(filter(u8::MAX).is_some_and(|filter| filter.parse::<EnvFilter>().is_ok() && !filter.contains("hyper")));
    }
}
