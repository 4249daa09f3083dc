//! A connection to NATS, as the sink and the consumer both want it: made anew after each loss.
//!
//! The client's own reconnecting is kept to one round over the servers. It would hide a wrong password, and
//! what was in flight when the connection broke would be known to nobody; whoever uses a connection sees that
//! it is lost, makes another and finds out what arrived.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio_util::sync::CancellationToken;

use crate::cause::{chain, is_tls};
use crate::config::{Nats, NatsAuth, without_password};

/// How long making a connection to one server may take, and how long an answer to one request.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answers, or not as NATS does; another time it may be there.
    #[error("{url}: {message}")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        message: String,
    },
    /// A person has to change something: a password, a certificate, a file, a URL.
    #[error("{url}: {message}")]
    Misconfigured {
        /// Where.
        url: String,
        /// What is wrong.
        message: String,
    },
}

/// A live connection; it is given up at its first loss.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// What speaks over it.
    pub(crate) client: Client,
    /// Cancelled when the connection breaks.
    pub(crate) lost: CancellationToken,
    /// Cancelled when the server says that something is not permitted, which it does apart from any request.
    pub(crate) denied: CancellationToken,
    denial: Arc<Mutex<String>>,
}

impl Connection {
    /// Connects and proves who we are, within 5 s for each server of the URL.
    pub(crate) async fn open(settings: &Nats) -> Result<Self, Error> {
        let servers = servers(&settings.url)?;
        let (lost, denied) = (CancellationToken::new(), CancellationToken::new());
        let denial = Arc::new(Mutex::new(String::new()));
        let options = options(settings, &servers)?.event_callback({
            let (lost, denied, denial) = (lost.clone(), denied.clone(), Arc::clone(&denial));
            move |event| {
                note(&event, &lost, &denied, &denial);
                std::future::ready(())
            }
        });
        let client = options.connect(anonymous(servers)).await.map_err(|error| classify(&settings.url, &error))?;
        Ok(Self { client, lost, denied, denial })
    }

    /// What is not permitted, by the server's own words.
    pub(crate) fn denial(&self) -> String {
        self.denial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn note(event: &Event, lost: &CancellationToken, denied: &CancellationToken, denial: &Mutex<String>) {
    match event {
        Event::Disconnected | Event::Closed => lost.cancel(),
        Event::ServerError(error) if error.to_string().to_ascii_lowercase().contains("permission") => {
            *denial.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            denied.cancel();
        }
        _ => {}
    }
}

fn servers(url: &str) -> Result<Vec<ServerAddr>, Error> {
    let parse = |server: &str| {
        server.trim().parse().map_err(|error: std::io::Error| Error::Misconfigured {
            url: without_password(server),
            message: format!("not a NATS URL ({error})"),
        })
    };
    url.split(',').map(parse).collect()
}

fn options(settings: &Nats, servers: &[ServerAddr]) -> Result<ConnectOptions, Error> {
    let options = ConnectOptions::new()
        .name(&settings.name)
        .connection_timeout(TIMEOUT)
        .request_timeout(Some(TIMEOUT))
        .ping_interval(Duration::from_secs(10))
        .max_reconnects(servers.len())
        .require_tls(settings.tls);
    let options = match &settings.ca_file {
        Some(file) => {
            read(file)?;
            options.add_root_certificates(file.clone())
        }
        None => options,
    };
    Ok(match &settings.auth {
        NatsAuth::None => by_url(options, servers),
        NatsAuth::User { user, password } => options.user_and_password(user.clone(), password.expose().into()),
        NatsAuth::Token(token) => options.token(token.expose().into()),
        NatsAuth::Nkey(file) => options.nkey(read(file)?.trim().into()),
        NatsAuth::Credentials(file) => {
            let text = read(file)?;
            options.credentials(&text).map_err(|error| unreadable(file, &error))?
        }
    })
}

/// What the first URL that says something says: `user:password@`, or `token@`. The client leaves that to us.
fn by_url(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let said = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match said {
        Some((user, Some(password))) => options.user_and_password(user.into(), password.into()),
        Some((token, None)) => options.token(token.into()),
        None => options,
    }
}

/// The servers without what proves who we are: the client logs its servers.
fn anonymous(servers: Vec<ServerAddr>) -> Vec<ServerAddr> {
    let strip = |server: ServerAddr| {
        let mut url = server.into_inner();
        // A URL that cannot have a user has none.
        let _none = (url.set_username(""), url.set_password(None));
        // Its scheme was good before.
        ServerAddr::from_url(url).ok()
    };
    servers.into_iter().filter_map(strip).collect()
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Error {
    Error::Misconfigured { url: file.display().to_string(), message: error.to_string() }
}

fn classify(url: &str, error: &async_nats::ConnectError) -> Error {
    let message = chain(error);
    let url = without_password(url);
    match error.kind() {
        ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::ServerParse
        | ConnectErrorKind::Tls => Error::Misconfigured { url, message },
        // A certificate that is not accepted comes as an I/O error of this kind.
        _ if is_tls(error) => Error::Misconfigured { url, message },
        _ => Error::Unreachable { url, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_no_password_to_log() {
        let servers = servers("nats://me:secret@host:4222,tls://token@other").expect("URLs");
        let shown = format!("{:?}", anonymous(servers));
        assert!(shown.contains("host") && shown.contains("other"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("token"), "{shown}");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let auth = NatsAuth::Credentials("/nowhere/me.creds".into());
        let error = Connection::open(&Nats { auth, ..Nats::default() }).await.expect_err("no such file");
        assert!(matches!(&error, Error::Misconfigured { url, .. } if url == "/nowhere/me.creds"), "{error}");
        let error = Connection::open(&Nats { url: "nats://[".into(), ..Nats::default() }).await;
        assert!(matches!(error, Err(Error::Misconfigured { .. })));
        let error = Connection::open(&Nats { url: "nats://127.0.0.1:1".into(), ..Nats::default() }).await;
        assert!(matches!(error, Err(Error::Unreachable { .. })));
    }
}
