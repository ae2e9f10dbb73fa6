//! Connections to the proxies: refused, over TLS, and limited in number.

use std::sync::{Arc, atomic::Ordering};

use futures::StreamExt;
use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::{
    DEADLINE, FakeResolver,
    envoy::{Envoy, Route},
    last, progress, reach, target, until,
};
use crate::{
    gateway::proxies::Proxy,
    probe::{Goal, Prober, Progress, Target},
};

#[tokio::test]
async fn proxy_that_refuses_connections_is_reported() {
    let envoy = Envoy::with(Route::Open).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let resolver = FakeResolver::of([&envoy]);
    let down = Proxy { port: free, ..envoy.proxy.clone() };
    resolver.0.lock().unwrap().as_mut().unwrap().push(down.clone());
    let (prober, mut wakes) = Prober::new(resolver.clone(), 8, Arc::default());
    let expected = format!("proxy {down} cannot be reached: connection refused");
    until(|| last(&prober, Goal::Open).as_ref() == Some(&expected)).await;
    resolver.0.lock().unwrap().as_mut().unwrap().pop();
    reach(&prober, &mut wakes, Goal::Open).await;
}

#[tokio::test]
async fn tls_listener_is_probed_by_its_host_name_with_any_certificate() {
    let issued = rcgen::generate_simple_self_signed(["other.example.org".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let envoy = Envoy::start(Route::Open, Some(TlsAcceptor::from(Arc::new(config)))).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 8, Arc::default());
    reach(&prober, &mut wakes, Goal::Open).await;
    let request = envoy.requests.lock().unwrap()[0].clone();
    assert!(request.contains("host: ada.units.example.org\r\n"), "{request}");
    assert!(request.contains("sni: ada.units.example.org\r\n"), "{request}");
}

#[tokio::test]
async fn connections_do_not_exceed_the_limit() {
    let envoy = Envoy::with(Route::OtherUnit).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 2, Arc::default());
    let units: Vec<_> = (0..12).map(|number| target(&format!("unit-{number}"))).collect();
    let done = |unit: &Target| matches!(progress(&prober, unit.clone(), Goal::Withdrawn), Progress::Done { .. });
    let all = async {
        loop {
            // Without `any`, so that all probes are started.
            let open = units.iter().filter(|unit| !done(unit)).count();
            if open == 0 {
                break;
            }
            wakes.next().await.unwrap();
        }
    };
    timeout(DEADLINE, all).await.unwrap();
    assert!(envoy.request_count() >= 36);
    assert_eq!(envoy.most.load(Ordering::SeqCst), 2);
}
