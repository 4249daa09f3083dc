//! The stream of state changes, `/process/states/ws` (from v1.110).

use futures_util::StreamExt;
use reqwest::{StatusCode, Url};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::client::{TOKEN_HEADER, check};
use super::{Error, Frame};
use crate::config::{Endpoint, Secret};

/// The most bytes that one frame may have.
pub const MAX_FRAME_BYTES: usize = 256 << 10;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An open stream of frames: first one snapshot for each process, then each change.
pub struct Frames(WebSocketStream<Box<dyn Stream>>);

impl Frames {
    /// The next frame; `None` when the supervisor closed the stream. Safe to drop at any await.
    pub async fn next(&mut self) -> Option<Result<Frame, Error>> {
        loop {
            let text = match self.0.next().await? {
                Ok(Message::Text(text)) => text,
                Ok(Message::Close(_)) => return None,
                Ok(_) => continue,
                Err(e) => return Some(Err(classify(e))),
            };
            let frame = serde_json::from_str(text.as_str());
            return Some(frame.map_err(|e| Error::NotProcessCompose(format!("a frame that is none: {e}"))));
        }
    }
}

/// Connects and shakes hands; the caller bounds the time.
pub(super) async fn open(endpoint: &Endpoint, mut url: Url, token: Option<&Secret>) -> Result<Frames, Error> {
    let stream = connect(endpoint, &url).await.map_err(|e| Error::Unreachable(e.to_string()))?;
    // Always an `http` URL, from which a change to `ws` is allowed.
    let _ = url.set_scheme("ws");
    let mut request = url.as_str().into_client_request().map_err(classify)?;
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(token.expose()).ok()) {
        request.headers_mut().insert(TOKEN_HEADER, token);
    }
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
        .max_write_buffer_size(MAX_FRAME_BYTES)
        .write_buffer_size(0);
    let (stream, _) = client_async_with_config(request, stream, Some(limits)).await.map_err(classify)?;
    Ok(Frames(stream))
}

async fn connect(endpoint: &Endpoint, url: &Url) -> std::io::Result<Box<dyn Stream>> {
    Ok(match endpoint {
        Endpoint::Socket(path) => Box::new(UnixStream::connect(path).await?),
        Endpoint::Url(_) => {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            Box::new(TcpStream::connect((host, url.port_or_known_default().unwrap_or(80))).await?)
        }
    })
}

fn classify(error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Http(response) => {
            let status = StatusCode::from_u16(response.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
            let body = response.body().as_deref().unwrap_or_default();
            // A 2xx that is no upgrade is no stream either.
            let plain = || Error::NotProcessCompose(format!("it answers {status} to a WebSocket"));
            check(status, body).err().unwrap_or_else(plain)
        }
        tungstenite::Error::Capacity(_) => Error::TooLarge(MAX_FRAME_BYTES),
        error => Error::Unreachable(error.to_string()),
    }
}
