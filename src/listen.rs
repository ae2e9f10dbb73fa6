//! Binds the addresses that flags name.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

#[derive(Debug, thiserror::Error)]
#[error("{flag}: cannot listen on {address} ({source}): give a free address of this host; port 0 selects a free port")]
pub struct BindError {
    flag: &'static str,
    address: SocketAddr,
    source: io::Error,
}

pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { flag, address, source })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn error_of_an_address_in_use_names_the_flag() {
        let first = bind("--first", (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let error = bind("--second", first.local_addr().unwrap()).await.unwrap_err();
        assert!(error.to_string().starts_with("--second: cannot listen on 127.0.0.1:"), "{error}");
    }
}
