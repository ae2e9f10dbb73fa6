//! The operator's program. The command line is in the library, so that tests can generate its files.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    computing_unit_operator::cli::main().await
}
