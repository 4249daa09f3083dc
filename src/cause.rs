//! What an error says with its causes, for the log and for a person. Pure.

use std::error::Error;
use std::iter::successors;

/// The causes of an error, the nearest first, without itself.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(error.source(), |&cause| cause.source())
}

/// An error with all its causes, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The causes alone, where the error itself says nothing but what stands beside it already, such as a URL; the
/// error where it has none.
pub(crate) fn below(error: &(dyn Error + 'static)) -> String {
    let words: Vec<String> = causes(error).map(ToString::to_string).collect();
    if words.is_empty() { error.to_string() } else { words.join(": ") }
}

/// The first cause of all, where what stands above it says only what was being done; the error where it has none.
pub(crate) fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

/// Whether a certificate was not accepted, or something else about TLS was wrong.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    // Of an I/O error that holds another one, `source` tells that one's cause, but not itself.
    let held = |io: &std::io::Error| {
        io.kind() == std::io::ErrorKind::InvalidData || io.get_ref().is_some_and(|held| is_tls(held))
    };
    error.is::<rustls::Error>() || io.is_some_and(held) || error.source().is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Told(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

    fn told(text: &'static str, cause: impl Error + Send + Sync + 'static) -> Told {
        Told(text, Some(cause.into()))
    }

    #[test]
    fn an_error_is_told_with_its_causes_each_once() {
        let error = told("sending: no route", told("no route", Told("refused", None)));
        assert_eq!(chain(&error), "sending: no route: refused");
        assert_eq!(below(&error), "no route: refused");
        assert_eq!(root(&error), "refused");
    }

    #[test]
    fn an_error_without_a_cause_is_told_itself() {
        let error = Told("refused", None);
        assert_eq!([chain(&error), below(&error), root(&error)], ["refused"; 3]);
    }

    #[test]
    fn tls_is_found_however_deep_it_is_held() {
        let expired = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert!(is_tls(&expired()));
        assert!(is_tls(&told("sending", told("connecting", expired()))));
        assert!(is_tls(&told("sending", io::Error::other(expired()))));
        assert!(is_tls(&told("sending", io::Error::from(io::ErrorKind::InvalidData))));
        assert!(!is_tls(&told("sending", io::Error::from(io::ErrorKind::ConnectionRefused))));
    }
}
