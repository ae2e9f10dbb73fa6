//! How requests reach the units of a pool: the routing modes, the routing keys, and overlaps between pools.
//!
//! Pure, except for the index of key reservations. The HTTPRoutes are built in [`crate::controllers`].

mod host;
mod key_path;
pub mod keys;
pub mod matches;
mod mode;
pub mod overlap;
pub mod overlap_index;
mod path;
mod paths;
mod query;
mod url;

use computing_unit_api::Routing;
use http::Uri;

pub use self::{
    host::{HOST, PORT_SEPARATOR, host_pattern, same_host},
    mode::{Mode, mode},
    url::{Address, Origin, url},
};

/// The key that requests for a unit carry.
pub fn key(routing: &Routing, name: &str, cuid: Option<i64>) -> String {
    mode(routing).map_or_else(|| name.to_owned(), |mode| mode.unit_key(name, cuid))
}

/// The parts of a unit's URL. `None` if the routing lacks the settings of its type, which the API server rejects.
pub fn address(routing: &Routing, name: &str, cuid: Option<i64>) -> Option<Address> {
    mode(routing).map(|mode| mode.address(name, cuid))
}

/// The parts of the URL of another port of a unit. `None` if the mode has none.
pub fn port_address(routing: &Routing, name: &str, port: &str) -> Option<Address> {
    mode(routing)?.port_address(name, port)
}

/// The key that a request carries, as a proxy matches it. `host` is its Host header.
pub fn request_key(routing: &Routing, uri: &Uri, host: Option<&str>) -> Option<String> {
    mode(routing)?.request_key(uri, host).filter(|key| !key.is_empty())
}
