//! Tells systemd, where it asked for it, that the daemon is ready, and that it is stopping.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::Environment;

/// Whom to tell.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    socket: Option<String>,
}

impl Notify {
    /// Whoever the environment names.
    pub fn from_environment(environment: &Environment) -> Self {
        Self { socket: environment.get("NOTIFY_SOCKET").filter(|path| !path.is_empty()).cloned() }
    }

    /// The store is open and everything runs.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// A drain has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = send(socket, state) {
            tracing::warn!("{state} could not be told to {socket}: {error}");
        }
    }
}

/// A leading `@` stands for the zero byte of an abstract socket.
fn send(socket: &str, state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, listener: &UnixDatagram) {
        let environment = Environment::from([("NOTIFY_SOCKET".to_owned(), name.to_owned())]);
        let notify = Notify::from_environment(&environment);
        notify.ready();
        notify.stopping();
        let mut told = [0; 64];
        for expected in ["READY=1", "STOPPING=1"] {
            let length = listener.recv(&mut told).expect("a datagram");
            assert_eq!(&told[..length], expected.as_bytes());
        }
    }

    #[test]
    fn tells_a_socket_in_a_folder_and_an_abstract_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        check(&path.to_string_lossy(), &UnixDatagram::bind(&path).expect("it binds"));
        let name = format!("watchpost-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        check(&format!("@{name}"), &UnixDatagram::bind_addr(&address).expect("it binds"));
        Notify::default().ready();
    }
}
