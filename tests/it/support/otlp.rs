//! An OTLP receiver that answers what a test tells it to, over gRPC and over HTTP.

mod reply;
mod request;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use watchpost::config::{Exporter, Protocol};

pub(crate) use reply::{Answer, Reply};
pub(crate) use request::Request;

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;
type Body = BoxBody<Bytes, Infallible>;

/// What it was asked, what it took, and what it answers.
struct State {
    script: Script,
    requests: Vec<Request>,
    /// How often it took each record.
    taken: HashMap<String, usize>,
}

/// A receiver; it ends when it is dropped.
pub(crate) struct Receiver {
    protocol: Protocol,
    scheme: &'static str,
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Takes everything.
    pub(crate) async fn start(protocol: Protocol) -> Self {
        Self::with(protocol, None, |_| Reply::take()).await
    }

    /// Answers as the script says.
    pub(crate) async fn scripted(
        protocol: Protocol,
        script: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        Self::with(protocol, None, script).await
    }

    /// The same, over TLS where there is an acceptor.
    pub(crate) async fn with(
        protocol: Protocol,
        tls: Option<TlsAcceptor>,
        script: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State { script: Box::new(script), requests: Vec::new(), taken: HashMap::new() };
        let state = Arc::new(Mutex::new(state));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(accept(listener, protocol, tls, Arc::clone(&state)));
        Self { protocol, scheme, address, state, task }
    }

    /// What a sink of logs is set to, to send there.
    pub(crate) fn exporter(&self) -> Exporter {
        let path = if self.protocol == Protocol::Grpc { "" } else { "/v1/logs" };
        Exporter {
            endpoint: format!("{}://{}{path}", self.scheme, self.address),
            protocol: self.protocol,
            timeout: Duration::from_secs(5),
            ..Exporter::default()
        }
    }

    /// From now on it answers as this script says.
    pub(crate) fn answers(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.state().script = Box::new(script);
    }

    /// How often it took each record.
    pub(crate) fn taken(&self) -> HashMap<String, usize> {
        self.state().taken.clone()
    }

    /// What it was asked.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    // They end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (state, tls) = (Arc::clone(&state), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, protocol, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, protocol, state).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: Protocol,
    state: Arc<Mutex<State>>,
) {
    let cut = CancellationToken::new();
    let service = service_fn(|request| answer(request, protocol, Arc::clone(&state), cut.clone()));
    let io = TokioIo::new(stream);
    let serving = async {
        // A client that hangs up is no error here.
        let _ended = match protocol {
            Protocol::Grpc => {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            }
            Protocol::HttpProtobuf => {
                hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
            }
        };
    };
    tokio::select! {
        () = serving => {}
        () = cut.cancelled() => {}
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    protocol: Protocol,
    state: Arc<Mutex<State>>,
    cut: CancellationToken,
) -> Result<hyper::Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(hyper::Response::new(reply::empty())) };
    let request = Request::read(&head, &body.to_bytes(), protocol);
    let reply = {
        let mut state = state.lock().expect("no panic");
        let reply = (state.script)(&request);
        for id in request.ids.iter().filter(|id| reply.takes(id)) {
            *state.taken.entry(id.clone()).or_default() += 1;
        }
        state.requests.push(request);
        reply
    };
    tokio::time::sleep(reply.delay).await;
    match reply.answer {
        Answer::Silence => std::future::pending().await,
        Answer::Cut => {
            cut.cancel();
            std::future::pending().await
        }
        answer => Ok(answer.write(protocol)),
    }
}

/// What a receiver needs for TLS, from the files that `certificates` made in a folder; whether it asks its
/// clients for a certificate of theirs.
pub(crate) fn tls(dir: &Path, protocol: Protocol, asks: bool) -> TlsAcceptor {
    let ca = certificate(&dir.join("ca.pem"));
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(ca).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let server = vec![certificate(&dir.join("server.pem"))];
    let mut config = builder.with_single_cert(server, key).expect("a certificate");
    if protocol == Protocol::Grpc {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    TlsAcceptor::from(Arc::new(config))
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).expect("a certificate")
}
