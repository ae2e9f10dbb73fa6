//! What the environment says about this engine. Nothing here acts on it.

use std::time::Duration;

use clap::Parser;

/// How an engine behaves, from its environment or its arguments.
#[derive(Debug, Parser)]
pub struct Settings {
    /// The name that every answer carries; the host's name if absent.
    #[arg(long, env = "UNIT_NAME")]
    unit_name: Option<String>,

    /// The TCP port to listen on, on every address.
    #[arg(long, env = "PORT", default_value_t = 8085)]
    pub port: u16,

    /// Seconds before the engine listens at all: until then connections, health checks included, are refused.
    #[arg(long, env = "START_DELAY", value_parser = seconds)]
    start_delay: Option<Duration>,

    /// Exit with this code instead of listening, once the start delay has passed.
    #[arg(long, env = "FAIL_START")]
    pub fail_start: Option<u8>,

    /// Seconds to go on serving after SIGTERM while connections are open.
    #[arg(long, env = "DRAIN", value_parser = seconds)]
    drain: Option<Duration>,

    /// Seconds of serving after which the engine exits with code 1.
    #[arg(long, env = "CRASH_AFTER", value_parser = seconds)]
    crash_after: Option<Duration>,
}

impl Settings {
    /// The name of the unit that this engine runs in.
    pub fn unit(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = self.unit_name.clone().or_else(host).unwrap_or_default();
        match name.trim() {
            "" => "engine".to_owned(),
            name => name.to_owned(),
        }
    }

    /// How long not to listen.
    pub fn start_delay(&self) -> Option<Duration> {
        self.start_delay.filter(|delay| !delay.is_zero())
    }

    /// How long to serve after SIGTERM at most.
    pub fn drain(&self) -> Duration {
        self.drain.unwrap_or_default()
    }

    /// How long to serve before a crash.
    pub fn crash_after(&self) -> Option<Duration> {
        self.crash_after
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
    fn defaults_are_those_of_an_engine_that_just_serves() {
        let settings = settings(&["--unit-name", "unit-1"]).unwrap();
        assert_eq!(settings.unit(), "unit-1");
        assert_eq!(settings.port, 8085);
        assert_eq!(settings.start_delay(), None);
        assert_eq!(settings.drain(), Duration::ZERO);
        assert_eq!(settings.crash_after(), None);
    }

    #[test]
    fn seconds_may_be_fractions_but_not_negative() {
        let settings_of = |value| settings(&["--drain", value]);
        assert_eq!(settings_of("2.5").unwrap().drain(), Duration::from_millis(2500));
        assert!(settings(&["--drain=-1"]).is_err());
        assert!(settings_of("soon").is_err());
    }

    #[test]
    fn an_exit_code_must_fit_a_process() {
        assert_eq!(settings(&["--fail-start", "3"]).unwrap().fail_start, Some(3));
        assert!(settings(&["--fail-start", "300"]).is_err());
    }

    #[test]
    fn a_name_is_never_empty() {
        assert_eq!(settings(&["--unit-name", " "]).unwrap().unit(), "engine");
    }
}
