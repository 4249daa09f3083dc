//! Proving to a real server who we are, and finding out who it is.

use watchpost::config::{Nats, NatsAuth, Secret};
use watchpost::sink::jetstream::JetStream;
use watchpost::sink::{Cursor, Error, Sink};

use super::support::certificates::certificates;
use super::support::events;
use super::support::jwt;
use super::support::nats::Server;

/// Delivers one event; answers with what went wrong at the connection.
async fn deliver(server: &Server, nats: Nats) -> Result<(), Error> {
    let settings = watchpost::config::JetStream { nats, ..server.settings() };
    let mut sink = JetStream::new(settings).expect("good subjects");
    sink.resume(&Cursor::default()).await?;
    let sent = sink.send(&events::run(0, 1)).await;
    sent.error.map_or(Ok(()), Err)
}

fn with(server: &Server, auth: NatsAuth) -> Nats {
    Nats { url: server.url(), auth, ..Nats::default() }
}

async fn check(server: &Server, good: NatsAuth, bad: NatsAuth) {
    assert_eq!(deliver(server, with(server, good)).await, Ok(()));
    for wrong in [bad, NatsAuth::None] {
        let error = deliver(server, with(server, wrong.clone())).await.expect_err("it must be refused");
        assert!(matches!(error, Error::Misconfigured(_)), "{wrong:?}: {error:?}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn by_user_and_password() {
    let server = Server::with("authorization { user: me, password: s3cret }");
    let user = |password: &str| NatsAuth::User { user: "me".into(), password: Secret::new(password) };
    check(&server, user("s3cret"), user("wrong")).await;
    let in_the_url = server.url().replace("nats://", "nats://me:s3cret@");
    assert_eq!(deliver(&server, Nats { url: in_the_url, ..Nats::default() }).await, Ok(()));
}

#[tokio::test]
async fn by_token() {
    let server = Server::with("authorization { token: s3cret }");
    let token = |token: &str| NatsAuth::Token(Secret::new(token));
    check(&server, token("s3cret"), token("wrong")).await;
    let in_the_url = server.url().replace("nats://", "nats://s3cret@");
    assert_eq!(deliver(&server, Nats { url: in_the_url, ..Nats::default() }).await, Ok(()));
}

#[tokio::test]
async fn by_nkey() {
    let (good, bad) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let server = Server::with(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", good.public_key()));
    let file = |name: &str, key: &nkeys::KeyPair| {
        let path = server.dir().join(name);
        std::fs::write(&path, format!("{}\n", key.seed().expect("a new key"))).expect("written");
        NatsAuth::Nkey(path)
    };
    check(&server, file("good.nk", &good), file("bad.nk", &bad)).await;
}

#[tokio::test]
async fn by_credentials() {
    let (operator, stranger) = (jwt::operator(), jwt::operator());
    let server = Server::with(&operator.config);
    let file = |name: &str, text: &str| {
        let path = server.dir().join(name);
        std::fs::write(&path, text).expect("written");
        NatsAuth::Credentials(path)
    };
    check(&server, file("good.creds", &operator.credentials), file("bad.creds", &stranger.credentials)).await;
}

#[tokio::test]
async fn a_server_that_may_not_be_written_to_is_said_to_be_so() {
    let server = Server::with(
        "authorization { users: [ { user: me, password: s3cret, permissions: { publish: { deny: \"core.>\" } } } ] }",
    );
    let auth = NatsAuth::User { user: "me".into(), password: Secret::new("s3cret") };
    let error = deliver(&server, with(&server, auth)).await.expect_err("it must be refused");
    assert!(matches!(&error, Error::Misconfigured(said) if said.contains("ermission")), "{error:?}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_said_to_be_so() {
    let server = Server::without_jetstream();
    let error = deliver(&server, with(&server, NatsAuth::None)).await.expect_err("no JetStream");
    assert!(error.to_string().contains("JetStream"), "{error}");
}

#[tokio::test]
async fn over_tls_with_a_certificate_authority_of_ones_own() {
    let mut server = Server::stopped("tls { cert_file: \"DIR/server.pem\", key_file: \"DIR/server.key\" }");
    certificates(server.dir());
    server.restart();
    let tls = |ca: Option<&str>| Nats {
        url: server.url().replace("nats://", "tls://"),
        ca_file: ca.map(|name| server.dir().join(name)),
        ..Nats::default()
    };
    assert_eq!(deliver(&server, tls(Some("ca.pem"))).await, Ok(()));
    for ca in [None, Some("other.pem"), Some("missing.pem")] {
        let error = deliver(&server, tls(ca)).await.expect_err("it must not be trusted");
        assert!(matches!(error, Error::Misconfigured(_)), "{ca:?}: {error:?}");
    }
}
