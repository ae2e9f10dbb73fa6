//! Status of pools.
use crate::context::Context;
use std::sync::Arc;
/// Runs.
pub async fn run(context: Arc<Context>) {
    let _ = context;
    std::future::pending::<()>().await;
}
