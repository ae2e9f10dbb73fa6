//! How long each test took, in the file that `E2E_TIMINGS` names: a line of seconds and name for each.

use std::{env, fs::File, future::Future, io::Write, time::Instant};

/// Names the file.
const FILE: &str = "E2E_TIMINGS";

/// Runs a test, and adds its time to the file.
pub(crate) async fn measured<T>(name: &str, test: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let outcome = test.await;
    if let Some(file) = env::var_os(FILE) {
        // The test harness names a test's thread after the test, unless tests run one at a time.
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
