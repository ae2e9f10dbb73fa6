//! What is measured, each part by itself: how fast, how much is written, what requests meet, how much memory. A part
//! prints a table; nothing here fails because something is slow.

pub mod churn;
pub mod cores;
pub mod cost;
pub mod hops;
pub mod idle;
pub mod lookup;
pub mod pods;
pub mod server;
pub mod speed;
pub mod suspend;
pub mod table;
pub mod traffic;
pub mod wake;
