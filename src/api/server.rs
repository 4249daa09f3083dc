//! Accepts connections, within limits, and lets them end when it is told to.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::config::Listen;

/// The most connections at one time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 1536;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 * 1024;
/// How long a client may take nothing of what it is sent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a connection may take to end after it was told to.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket, whose file is removed with it.
    Socket(UnixListener, SocketFile),
}

/// The file of a unix socket, removed when it is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds what the settings say; `None` where that is nothing.
    pub async fn bind(listen: &Listen) -> io::Result<Option<Self>> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(|listener| Some(Self::Tcp(listener))),
            Listen::Socket(path) => bind_socket(path).await.map(Some),
            Listen::Off => Ok(None),
        }
    }

    /// Where it listens, as a client's URL.
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "http://?".into(), |address| format!("http://{address}"))
            }
            Self::Socket(_, file) => format!("unix:{}", file.0.display()),
        }
    }
}

/// Binds a socket that only this user can open, in place of one that nobody listens at any more.
async fn bind_socket(path: &Path) -> io::Result<Listener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && tokio::net::UnixStream::connect(path).await.is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile(path.into());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Listener::Socket(listener, file))
}

/// Serves until `shutdown`, then lets requests that are being answered end.
pub(super) async fn serve(listener: Listener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &seats) => accepted,
        };
        match accepted {
            Ok((io, seat)) => {
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection(io, router, shutdown).await;
                    drop(seat);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: it passes when connections end.
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    let _forced = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

async fn accept(listener: &Listener, seats: &Arc<Semaphore>) -> io::Result<(Box<dyn Io>, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.map_err(io::Error::other)?;
    let io: Box<dyn Io> = match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Listener::Socket(listener, _) => Box::new(listener.accept().await?.0),
    };
    Ok((io, seat))
}

/// A connection whose other end must read what it is sent: one that takes nothing for [`PATIENCE`] is lost.
struct Patient {
    io: Box<dyn Io>,
    /// Since something waits to be written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// What a write came to, or that it has come to nothing for too long.
    fn within<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, to)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.within(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.within(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.within(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

async fn connection(io: Box<dyn Io>, router: Router, shutdown: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient { io, stalled: None }), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_lost_and_one_that_is_slow_is_not() {
        let (mut client, server) = tokio::io::duplex(10);
        let mut patient = Patient { io: Box::new(server), stalled: None };
        let (writing, reading) = tokio::join!(patient.write_all(&[b'x'; 50]), async {
            let mut bytes = [0; 10];
            for _ in 0..5 {
                tokio::time::sleep(PATIENCE / 2).await;
                client.read_exact(&mut bytes).await?;
            }
            io::Result::Ok(())
        });
        assert!(writing.is_ok() && reading.is_ok());
        let began = tokio::time::Instant::now();
        let error = patient.write_all(&[b'x'; 50]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, PATIENCE.as_secs()));
    }
}
