//! The HTTP client that tests ask servers with.

/// A client; the TLS library has no provider of its own choice, also where nothing is encrypted.
pub(crate) fn client() -> reqwest::Client {
    // Whoever was first has chosen the same.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
