//! A guard before a real server, as a proxy or the server's own security: it may speak TLS, lets in who has the
//! right `Authorization`, refuses what a test tells it to, and hands on everything else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::http::client;

/// What it answers to requests with this text in their path.
type Refusal = (&'static str, u16, Value);

/// What it was asked, and what it lets in.
struct Watch {
    server: String,
    right: Option<String>,
    refuses: Option<Refusal>,
    /// What stood in `Authorization` of each request, once for each such header.
    came: Vec<Vec<String>>,
}

/// A guard; it ends when it is dropped.
pub(crate) struct Guard {
    url: String,
    watch: Arc<Mutex<Watch>>,
    task: JoinHandle<()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guard {
    /// Stands before the server at that URL and lets everybody in.
    pub(crate) async fn start(server: &str) -> Self {
        let listener = bind(Ipv4Addr::LOCALHOST).await;
        let address = listener.local_addr().expect("an address");
        Self::serve(listener, format!("http://{address}"), server)
    }

    /// The same over TLS, at an address of loopback.
    pub(crate) async fn over_tls(server: &str, at: Ipv4Addr, acceptor: TlsAcceptor) -> Self {
        let listener = bind(at).await;
        let address = listener.local_addr().expect("an address");
        Self::serve(Encrypted { listener, acceptor }, format!("https://{address}"), server)
    }

    fn serve<L: Listener<Addr = SocketAddr>>(listener: L, url: String, server: &str) -> Self {
        let watch = Watch { server: server.into(), right: None, refuses: None, came: Vec::new() };
        let watch = Arc::new(Mutex::new(watch));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&watch));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { url, watch, task }
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on it lets in who has exactly this in `Authorization`.
    pub(crate) fn lets_in(&self, right: &str) {
        self.watch().right = Some(right.into());
    }

    /// From now on it answers this to requests with that text in their path; `None`: it refuses nothing.
    pub(crate) fn refuses(&self, refusal: Option<Refusal>) {
        self.watch().refuses = refusal;
    }

    /// What stood in `Authorization` of each request so far, once for each such header.
    pub(crate) fn came(&self) -> Vec<Vec<String>> {
        self.watch().came.clone()
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().expect("no panic")
    }
}

async fn bind(at: Ipv4Addr) -> TcpListener {
    TcpListener::bind((at, 0)).await.expect("a free port")
}

/// Connections over TLS; those that do not come about are let go.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn answer(
    State(watch): State<Arc<Mutex<Watch>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let shown = headers.get_all(AUTHORIZATION).iter();
    let shown: Vec<String> = shown.map(|value| value.to_str().expect("text").to_owned()).collect();
    let (server, refused) = {
        let mut watch = watch.lock().expect("no panic");
        let stranger = watch.right.as_ref().is_some_and(|right| shown != [right.clone()]);
        let told = watch.refuses.clone().filter(|(path, _, _)| uri.path().contains(path));
        watch.came.push(shown);
        let told = told.map(|(_, status, answer)| (status, answer));
        (watch.server.clone(), if stranger { Some((401, unknown(uri.path()))) } else { told })
    };
    match refused {
        Some((status, answer)) => (status_code(status), axum::Json(answer)).into_response(),
        None => hand_on(format!("{server}{uri}"), method, headers, body).await,
    }
}

async fn hand_on(url: String, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let mut request = client().request(method, url).body(body);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let answer = request.send().await.expect("the server behind it answers");
    let (status, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
    let body = answer.bytes().await.expect("a body");
    (status, kind.map(|kind| [(CONTENT_TYPE, kind)]), body).into_response()
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}

/// As Elasticsearch words it.
fn unknown(path: &str) -> Value {
    let reason = format!("unable to authenticate with provided credentials for REST request [{path}]");
    let error = json!({"type": "security_exception", "reason": reason});
    json!({"error": {"root_cause": [error], "type": "security_exception", "reason": reason}, "status": 401})
}
