//! The configuration of the engine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use crate::export::Export;
use crate::site::Site;

/// The behavior of an engine, from the environment or arguments.
#[derive(Debug, Parser)]
pub struct Settings {
    /// The name of the unit, which is in every response. Default: the host name.
    #[arg(long, env = "COMPUTING_UNIT_NAME")]
    unit: Option<String>,

    /// The TCP port to listen on, on all addresses. 0 selects a free port, which is logged.
    #[arg(long, env = "PORT", default_value_t = 8085)]
    pub port: u16,

    /// Seconds before the engine listens. Until then, connections are refused, including health checks.
    #[arg(long, env = "START_DELAY", value_parser = seconds, default_value = "0")]
    pub start_delay: Duration,

    /// Exit with this code instead of listening, after the start delay.
    #[arg(long, env = "FAIL_START")]
    pub fail_start: Option<u8>,

    /// The termination message if `FAIL_START` is set.
    #[arg(long, env = "FAIL_MESSAGE", default_value = "the engine failed to start because FAIL_START is set")]
    pub fail_message: String,

    /// Seconds of serving after which health checks fail, until they are set to healthy.
    #[arg(long, env = "UNREADY_AFTER", value_parser = seconds)]
    pub unready_after: Option<Duration>,

    /// Seconds of serving after which the engine exits with code 1.
    #[arg(long, env = "CRASH_AFTER", value_parser = seconds)]
    pub crash_after: Option<Duration>,

    /// Seconds to keep serving after SIGTERM while connections are open.
    #[arg(long, env = "DRAIN", value_parser = seconds, default_value = "0")]
    pub drain: Duration,

    /// The HTML response to a GET of any path that is not part of the engine, like a static service.
    #[arg(long, env = "PAGE")]
    pub page: Option<String>,

    /// The JavaScript response to a GET of such a path with a query parameter `script`.
    #[arg(long, env = "SCRIPT")]
    pub script: Option<String>,

    /// Headers of the response with the page or the script, as lines `name: value`.
    #[arg(long, env = "HEADERS", default_value = "")]
    headers: String,

    /// The folder of the files that `PUT` and `GET /files/<name>` write and read.
    #[arg(long, env = "FILES")]
    pub files: Option<PathBuf>,

    /// The default number of lines of an export.
    #[arg(long, env = "EXPORT_CHUNKS", default_value_t = 10)]
    export_chunks: u64,

    /// The default interval between two lines of an export, in milliseconds.
    #[arg(long, env = "EXPORT_INTERVAL_MS", default_value_t = 100)]
    export_interval_ms: u64,
}

impl Settings {
    /// The settings of a command line. Arguments of the server that the engine stands in for are ignored.
    ///
    /// # Errors
    /// If a value is not valid.
    pub fn of(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments).or_else(|error| match error.kind() {
            ErrorKind::UnknownArgument => Self::try_parse_from(["engine"]),
            _ => Err(error),
        })
    }

    /// The name of the unit that this engine runs in.
    pub fn unit(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = self.unit.clone().or_else(host).unwrap_or_default();
        match name.trim() {
            "" => "engine".to_owned(),
            name => name.to_owned(),
        }
    }

    /// What the engine serves on paths that are not part of it.
    pub fn site(&self) -> Site {
        let line =
            |line: &str| line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        let headers = self.headers.lines().filter_map(line).collect();
        Site { page: self.page.clone(), script: self.script.clone(), headers, files: self.files.clone() }
    }

    /// The default export.
    pub fn export(&self) -> Export {
        Export { chunks: self.export_chunks, interval: Duration::from_millis(self.export_interval_ms) }
    }
}

/// Parses a number of seconds, which can be fractional.
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
    fn arguments_of_another_server_are_ignored() {
        let of = |arguments: &[&str]| Settings::of([&["engine"], arguments].concat().into_iter().map(OsString::from));
        assert_eq!(of(&["start-notebook.py", "--ServerApp.base_url=/ada/"]).unwrap().port, 8085);
        assert_eq!(of(&["--ServerApp.base_url=/ada/"]).unwrap().port, 8085);
        assert!(of(&["--drain=-1"]).is_err());
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
