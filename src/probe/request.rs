//! One probe: a request on a connection of its own, and what the answer proves.
//!
//! Which proxies are asked, how often, and what their answers add up to is not decided here.

use std::{io, sync::Arc, time::Duration};

use computing_unit_api::{
    ProbeMethod,
    names::{FIELD_MANAGER, headers},
};
use http::{HeaderValue, Method, header};
use http_body_util::Empty;
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Goal, Request,
    answer::{self, Answer, Doubt},
    patience::{ATTEMPT, CONNECT},
    proxies::Proxy,
};

/// Sends probes.
#[derive(Clone)]
pub(super) struct Asker {
    tls: TlsConnector,
}

impl Asker {
    pub(super) fn new() -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions of TLS")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Asks `proxy` once for the unit `uid`.
    pub(super) async fn ask(&self, proxy: &Proxy, uid: &str, request: &Request, goal: Goal) -> Answer {
        let answered = timeout(ATTEMPT, self.exchange(proxy, uid, request, goal)).await;
        answered.unwrap_or_else(|_| Err(Doubt::NoAnswer(late(ATTEMPT)))).unwrap_or_else(Answer::Inconclusive)
    }

    async fn exchange(&self, proxy: &Proxy, uid: &str, request: &Request, goal: Goal) -> Result<Answer, Doubt> {
        let message = message(proxy, uid, request, goal).map_err(|error| Doubt::NoAnswer(error.to_string()))?;
        let stream = timeout(CONNECT, TcpStream::connect((proxy.address.as_str(), proxy.port)))
            .await
            .map_err(|_| Doubt::NoConnection(late(CONNECT)))?
            .map_err(|error| Doubt::NoConnection(words(&error)))?;
        // Nothing is read after the header of the answer. A reset leaves no connection in TIME_WAIT, of which probes
        // would otherwise pile up until the operator runs out of ports. Where it cannot be set they just do.
        let _ = stream.set_zero_linger();
        let status_and_headers = if proxy.tls {
            let name = proxy.name.as_deref().unwrap_or(&proxy.address).to_owned();
            let name = ServerName::try_from(name).map_err(|error| Doubt::NoAnswer(error.to_string()))?;
            let stream = self.tls.connect(name, stream).await;
            over(stream.map_err(|error| Doubt::NoAnswer(words(&error)))?, message).await
        } else {
            over(stream, message).await
        };
        let (status, headers) = status_and_headers.map_err(|error| Doubt::NoAnswer(error.to_string()))?;
        Ok(answer::judge(uid, status, &headers))
    }
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    message: http::Request<Empty<Bytes>>,
) -> hyper::Result<(http::StatusCode, http::HeaderMap)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, _) = sender.send_request(message).await?.into_parts();
    Ok((head.status, head.headers))
}

/// The message of a probe. The guard's header is sent only where the guarded route is meant.
fn message(proxy: &Proxy, uid: &str, request: &Request, goal: Goal) -> http::Result<http::Request<Empty<Bytes>>> {
    let method = match request.method {
        ProbeMethod::Head => Method::HEAD,
        ProbeMethod::Get => Method::GET,
        ProbeMethod::Options => Method::OPTIONS,
    };
    let host = proxy.name.clone().unwrap_or_else(|| proxy.to_string());
    let mut message = http::Request::builder()
        .method(method)
        .uri(&request.path_and_query)
        .header(header::HOST, host)
        .header(header::USER_AGENT, HeaderValue::from_static(FIELD_MANAGER))
        .header(headers::PROBE, uid);
    if goal == Goal::Guarded {
        message = message.header(headers::GUARD, uid);
    }
    message.body(Empty::new())
}

fn late(limit: Duration) -> String {
    format!("nothing within {} ms", limit.as_millis())
}

/// The kind of an error where that says enough: without numbers of the operating system.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => error.to_string(),
        kind => kind.to_string(),
    }
}

/// Takes any certificate. A probe carries no secret and trusts no content: it only looks whether a header is there, at an
/// address that the API server gave. Gateways often have certificates that are valid for their users alone.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
