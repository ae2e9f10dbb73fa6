//! A server that responds like a proxy.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use computing_unit_api::names::headers;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::gateway::proxies::Proxy;

/// The route of the unit `ada` at a proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Route {
    Absent,
    Guarded,
    Open,
    /// Guarded after it was open.
    Closed,
    /// The proxy has the route and no endpoints.
    NoEndpoints,
    /// The route of another unit matches.
    OtherUnit,
}

/// A server that responds like a proxy.
pub struct Envoy {
    pub proxy: Proxy,
    route: Arc<Mutex<Route>>,
    pub requests: Arc<Mutex<Vec<String>>>,
    /// The route after so many requests.
    pub then: Arc<Mutex<Option<(usize, Route)>>>,
    /// The largest number of concurrent requests.
    pub most: Arc<AtomicUsize>,
}

impl Envoy {
    pub async fn with(route: Route) -> Self {
        Self::start(route, None).await
    }

    pub async fn start(route: Route, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            tls: tls.is_some(),
            name: tls.as_ref().map(|_| "ada.units.example.org".to_owned()),
            draining: false,
        };
        let envoy = Self {
            proxy,
            route: Arc::new(Mutex::new(route)),
            requests: Arc::default(),
            then: Arc::default(),
            most: Arc::default(),
        };
        let (route, requests, then, most) =
            (envoy.route.clone(), envoy.requests.clone(), envoy.then.clone(), envoy.most.clone());
        let now = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (route, requests, then, tls) = (route.clone(), requests.clone(), then.clone(), tls.clone());
                let (most, now) = (most.clone(), now.clone());
                tokio::spawn(async move {
                    let answer = async move |request: String| {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        for _ in 0..10 {
                            tokio::task::yield_now().await;
                        }
                        now.fetch_sub(1, Ordering::SeqCst);
                        let mut requests = requests.lock().unwrap();
                        requests.push(request.clone());
                        if let Some((from, next)) = *then.lock().unwrap()
                            && requests.len() > from
                        {
                            *route.lock().unwrap() = next;
                        }
                        answer(*route.lock().unwrap(), &request)
                    };
                    match tls {
                        None => serve(stream, answer).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                            serve(stream, async |request| answer(format!("{request}sni: {name}\r\n")).await).await;
                        }
                    }
                });
            }
        });
        envoy
    }

    pub fn set(&self, route: Route) {
        *self.route.lock().unwrap() = route;
    }

    /// Changes the route after so many requests.
    pub fn changes_after(self, requests: usize, route: Route) -> Self {
        *self.then.lock().unwrap() = Some((requests, route));
        self
    }

    pub fn request_count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl AsyncFnOnce(String) -> String) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        request.push(byte);
    }
    let _ = stream.write_all(answer(String::from_utf8(request).unwrap()).await.as_bytes()).await;
    let _ = stream.shutdown().await;
    // Until the prober resets the connection.
    let _ = stream.read_u8().await;
}

fn answer(route: Route, request: &str) -> String {
    let guarded = request.contains(&format!("{}: ada-uid\r\n", headers::GUARD));
    let (status, unit) = match route {
        Route::Open => (200, Some("ada-uid")),
        Route::Guarded | Route::Closed if guarded => (200, Some("ada-uid")),
        Route::NoEndpoints => (503, Some("ada-uid")),
        Route::OtherUnit => (200, Some("bob-uid")),
        Route::Guarded | Route::Closed | Route::Absent => (404, None),
    };
    let unit = unit.map(|uid| format!("{}: {uid}\r\n", headers::UNIT)).unwrap_or_default();
    let closed = match route {
        Route::Closed if guarded => format!("{}: route-uid.7\r\n", headers::CLOSED),
        _ => String::new(),
    };
    format!("HTTP/1.1 {status} Answer\r\n{unit}{closed}content-length: 0\r\n\r\n")
}
