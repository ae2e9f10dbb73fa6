//! Records the duration of each test in the file `E2E_TIMINGS`: one line with seconds and name for each.

use std::{env, fs::File, future::Future, io::Write, time::Instant};

/// The variable with the path of the file.
const FILE: &str = "E2E_TIMINGS";

/// Runs a test, and appends its duration to the file.
pub(crate) async fn measured<T>(name: &str, test: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let outcome = test.await;
    if let Some(file) = env::var_os(FILE) {
        // The test harness names the thread of a test after the test, unless tests run one at a time.
        let thread = std::thread::current();
        let name = thread.name().filter(|thread| thread.contains("::")).unwrap_or(name);
        let line = format!("{:.1} {name}\n", begun.elapsed().as_secs_f64());
        let written = File::options().create(true).append(true).open(&file);
        if let Err(error) = written.and_then(|mut file| file.write_all(line.as_bytes())) {
            eprintln!("{}: {error}", file.display());
        }
    }
    outcome
}
