//! Who may ask: the Host and Origin of every request, and its token.
//!
//! A page in a browser can send requests to loopback. It cannot forge these two headers: a name that was
//! bound to loopback to get at us shows in Host, a page of someone else's in Origin.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{Error, Shared};
use crate::config::{Api, Secret};

/// The routes that need no token: they tell nothing but that somebody is there.
const OPEN: [&str; 1] = ["/health"];

pub(super) async fn check(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match admit(&shared.settings, request.headers(), request.uri().path()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Whether a request with these headers is let in.
fn admit(settings: &Api, headers: &HeaderMap, path: &str) -> Result<(), Error> {
    let host = check_host(settings, headers)?;
    check_origin(settings, headers, &host)?;
    match &settings.token {
        Some(token) if !OPEN.contains(&path) => check_token(token, headers),
        _ => Ok(()),
    }
}

fn check_host(settings: &Api, headers: &HeaderMap) -> Result<Authority, Error> {
    let mut given = headers.get_all(header::HOST).iter();
    let wrong = |message: &str| Error::field(StatusCode::BAD_REQUEST, "Host", message);
    let (Some(host), None) = (given.next(), given.next()) else { return Err(wrong("expected one Host header")) };
    let host = Authority::try_from(host.as_bytes()).map_err(|_| wrong("expected a host name or an address"))?;
    match is_ours(settings, host.host()) {
        true => Ok(host),
        false => Err(Error::field(
            StatusCode::FORBIDDEN,
            "Host",
            format!("{} is not a name of this server; `api.hosts` lists those that are", host.host()),
        )),
    }
}

/// A request that a page in a browser made must come from a page of this server.
fn check_origin(settings: &Api, headers: &HeaderMap, host: &Authority) -> Result<(), Error> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let place = place.and_then(|place| Authority::try_from(place).ok());
    let same = |place: &Authority| {
        place.as_str().eq_ignore_ascii_case(host.as_str())
            || settings.hosts.iter().any(|name| name.eq_ignore_ascii_case(place.host()))
    };
    match place.as_ref().is_some_and(same) {
        true => Ok(()),
        false => Err(Error::field(StatusCode::FORBIDDEN, "Origin", "a page of another origin may not ask here")),
    }
}

/// An address, `localhost`, or a configured name: a name bound by somebody else is none of these.
fn is_ours(settings: &Api, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || settings.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}

fn check_token(token: &Secret, headers: &HeaderMap) -> Result<(), Error> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match same_secret(given, token.expose()) {
        true => Ok(()),
        false => Err(Error::field(
            StatusCode::UNAUTHORIZED,
            "Authorization",
            "expected `Bearer` and the token of this server",
        )),
    }
}

/// Compares by hashes: the time it takes tells nothing of how much of a guess was right.
fn same_secret(given: &str, secret: &str) -> bool {
    let difference = Sha256::digest(given).into_iter().zip(Sha256::digest(secret)).map(|(a, b)| a ^ b);
    difference.fold(0, |all, bits| all | bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], path: &str, expected: Result<(), (u16, &str)>) {
        let settings = Api {
            token: path.starts_with("/secret").then(|| Secret::new("right")),
            hosts: vec!["w.example".into()],
            ..Api::default()
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        let told =
            admit(&settings, &map, path).map_err(|error| (error.status.as_u16(), error.field.unwrap_or_default()));
        assert_eq!(told, expected, "{headers:?}");
    }

    #[test]
    fn only_our_own_names_are_asked_for() {
        for host in ["localhost", "localhost:9001", "127.0.0.1:9001", "[::1]:9001", "W.example", "10.0.0.7"] {
            check(&[("host", host)], "/", Ok(()));
        }
        check(&[("host", "evil.example")], "/", Err((403, "Host")));
        check(&[("host", "localhost.evil.example:9001")], "/", Err((403, "Host")));
        check(&[], "/", Err((400, "Host")));
        check(&[("host", "localhost"), ("host", "evil.example")], "/", Err((400, "Host")));
        check(&[("host", "a b")], "/", Err((400, "Host")));
    }

    #[test]
    fn no_page_of_another_origin_may_ask() {
        let host = ("host", "localhost:9001");
        check(&[host, ("origin", "http://localhost:9001")], "/", Ok(()));
        check(&[host, ("origin", "https://w.example")], "/", Ok(()));
        for origin in ["http://localhost:3000", "http://evil.example", "null", "", "file://"] {
            check(&[host, ("origin", origin)], "/", Err((403, "Origin")));
        }
    }

    #[test]
    fn the_token_opens_everything_but_the_bare_health() {
        let host = ("host", "localhost");
        check(&[host, ("authorization", "Bearer right")], "/secret", Ok(()));
        for wrong in ["Bearer wrong", "Bearer ", "Basic right", "right", "Bearer right "] {
            check(&[host, ("authorization", wrong)], "/secret", Err((401, "Authorization")));
        }
        check(&[host], "/secret", Err((401, "Authorization")));
        check(&[host], "/health", Ok(()));
    }
}
