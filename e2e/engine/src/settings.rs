//! What the environment says about this engine. Nothing here acts on it.

use std::time::Duration;

use clap::Parser;

use crate::export::Export;

/// How an engine behaves, from its environment or its arguments.
#[derive(Debug, Parser)]
pub struct Settings {
    /// The unit's name, which every answer carries; the host's name if absent.
    #[arg(long, env = "COMPUTING_UNIT_NAME")]
    unit: Option<String>,

    /// The TCP port to listen on, on every address; 0 for any free one, which the log tells.
    #[arg(long, env = "PORT", default_value_t = 8085)]
    pub port: u16,

    /// Seconds before the engine listens at all: until then connections, health checks included, are refused.
    #[arg(long, env = "START_DELAY", value_parser = seconds, default_value = "0")]
    pub start_delay: Duration,

    /// Exit with this code instead of listening, once the start delay has passed.
    #[arg(long, env = "FAIL_START")]
    pub fail_start: Option<u8>,

    /// The last words of an engine that fails its start.
    #[arg(long, env = "FAIL_MESSAGE", default_value = "the engine was told to fail its start")]
    pub fail_message: String,

    /// Seconds of serving after which health checks fail, until the engine is told otherwise.
    #[arg(long, env = "UNREADY_AFTER", value_parser = seconds)]
    pub unready_after: Option<Duration>,

    /// Seconds of serving after which the engine exits with code 1.
    #[arg(long, env = "CRASH_AFTER", value_parser = seconds)]
    pub crash_after: Option<Duration>,

    /// Seconds to go on serving after SIGTERM while connections are open.
    #[arg(long, env = "DRAIN", value_parser = seconds, default_value = "0")]
    pub drain: Duration,

    /// What a GET of any path that is no part of the engine is answered with, as HTML: a static service.
    #[arg(long, env = "PAGE")]
    pub page: Option<String>,

    /// How many lines an export has whose request does not say.
    #[arg(long, env = "EXPORT_CHUNKS", default_value_t = 10)]
    export_chunks: u64,

    /// Milliseconds between two lines of an export whose request does not say.
    #[arg(long, env = "EXPORT_INTERVAL_MS", default_value_t = 100)]
    export_interval_ms: u64,
}

impl Settings {
    /// The name of the unit that this engine runs in.
    pub fn unit(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = self.unit.clone().or_else(host).unwrap_or_default();
        match name.trim() {
            "" => "engine".to_owned(),
            name => name.to_owned(),
        }
    }

    /// The export of a request that does not say how long it is to be.
    pub fn export(&self) -> Export {
        Export { chunks: self.export_chunks, interval: Duration::from_millis(self.export_interval_ms) }
    }
}

/// Reads a number of seconds, fractions allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, clap::Error> {
        Settings::try_parse_from([&["engine"], arguments].concat())
    }

    #[test]
    fn seconds_may_be_fractions_but_not_negative() {
        assert_eq!(settings(&["--drain", "2.5"]).unwrap().drain, Duration::from_millis(2500));
        assert!(settings(&["--drain=-1"]).is_err());
        assert!(settings(&["--drain", "soon"]).is_err());
    }

    #[test]
    fn an_exit_code_must_fit_a_process() {
        assert_eq!(settings(&["--fail-start", "3"]).unwrap().fail_start, Some(3));
        assert!(settings(&["--fail-start", "300"]).is_err());
    }

    #[test]
    fn a_name_is_never_empty() {
        assert_eq!(settings(&["--unit", "ada"]).unwrap().unit(), "ada");
        assert_eq!(settings(&["--unit", " "]).unwrap().unit(), "engine");
    }
}
