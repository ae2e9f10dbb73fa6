//! Benchmarks of latency, API writes, failed requests and memory. Each prints a table. No benchmark fails because of a
//! slow result.

pub mod churn;
pub mod cores;
pub mod cost;
pub mod hops;
pub mod idle;
pub mod lookup;
pub mod pods;
pub mod scale;
pub mod scenarios;
pub mod server;
pub mod speed;
pub mod suspend;
pub mod table;
pub mod traffic;
pub mod wake;
