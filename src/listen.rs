//! Takes an address of this host, to be served later by whoever is given it.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// An address that cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{flag}: cannot listen on {address} ({source}): give a free address of this host, port 0 for any port")]
pub struct BindError {
    flag: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// Takes the address that `flag` names.
///
/// # Errors
/// If it is taken already or not of this host.
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { flag, address, source })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_refused_by_the_name_of_its_flag() {
        let first = bind("--first", (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let error = bind("--second", first.local_addr().unwrap()).await.unwrap_err();
        assert!(error.to_string().starts_with("--second: cannot listen on 127.0.0.1:"), "{error}");
    }
}
