//! Binds the addresses that flags name.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

#[derive(Debug, thiserror::Error)]
#[error("{flag}: cannot listen on {address} ({source}): give a free address of this host; port 0 selects a free port")]
pub struct BindError {
    flag: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// Listens on an address. `[::]` accepts IPv4 as well, and is `0.0.0.0` on a host without IPv6.
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let failed = |source| BindError { flag, address, source };
    match TcpListener::bind(address).await {
        Err(error) if without_ipv6(address, &error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await.map_err(failed)
        }
        result => result.map_err(failed),
    }
}

/// Whether the host has no IPv6.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    /// `EAFNOSUPPORT` of Linux, for which the standard library has no kind.
    const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && (error.kind() == io::ErrorKind::AddrNotAvailable
            || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn unspecified_address_accepts_both_families() {
        let listener = bind("--both", (Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
        if address.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).await.unwrap();
        }
    }

    #[test]
    fn missing_ipv6_is_recognized() {
        let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, 80).into();
        assert!(without_ipv6(any, &io::Error::from_raw_os_error(97)));
        assert!(without_ipv6(any, &io::ErrorKind::AddrNotAvailable.into()));
        assert!(!without_ipv6(any, &io::ErrorKind::AddrInUse.into()));
        assert!(!without_ipv6((Ipv6Addr::LOCALHOST, 80).into(), &io::ErrorKind::AddrNotAvailable.into()));
    }

    #[tokio::test]
    async fn error_of_an_address_in_use_names_the_flag() {
        let first = bind("--first", (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let error = bind("--second", first.local_addr().unwrap()).await.unwrap_err();
        assert!(error.to_string().starts_with("--second: cannot listen on 127.0.0.1:"), "{error}");
    }
}
