//! OTLP over HTTP/1.1 with protobuf bodies.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Identity};

use super::answer::{self, Answer, Fail};
use super::channel::{CONNECT, Invalid, Tls, USER_AGENT};
use crate::config::{Compression, Exporter};

/// So much of an answer is read, as of gRPC's: some receivers say of each record why they reject it.
const MAX_ANSWER: usize = 4 << 20;

/// zstd's fastest level that still halves what is sent once more against gzip's.
const ZSTD_LEVEL: i32 = 1;

/// An HTTP client of one URL.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
    compression: Compression,
}

impl Client {
    pub(super) fn new(settings: &Exporter, tls: &Tls) -> Result<Self, Invalid> {
        let url = reqwest::Url::parse(&settings.endpoint).map_err(|error| Invalid::new("endpoint", &error))?;
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            // A redirect would carry the headers, and with them the secrets, somewhere else.
            .redirect(Policy::none())
            .no_proxy();
        let http = with_tls(builder, tls)?.build().map_err(|error| Invalid::new("endpoint", &error))?;
        Ok(Self { http, url, headers: headers(settings)?, compression: settings.compression })
    }

    pub(super) async fn export(&self, request: Bytes) -> Result<Answer, Fail> {
        let body = compress(request, self.compression)
            .map_err(|error| Fail::Later { message: format!("compressing: {error}"), after: None })?;
        let sent = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body).send().await;
        let mut response = sent.map_err(|error| answer::of_transport(&error.without_url()))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while body.len() < MAX_ANSWER {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status alone says what became of a request that was not taken.
                Err(_) if !status.is_success() => break,
                Err(error) => return Err(answer::of_transport(&error.without_url())),
            }
        }
        answer::of_http(status, &headers, body.freeze())
    }
}

fn headers(settings: &Exporter) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    match settings.compression {
        Compression::None => None,
        Compression::Gzip => headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        Compression::Zstd => headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd")),
    };
    for (name, value) in &settings.headers {
        let what = || format!("headers.{name}");
        let key: HeaderName = name.parse().map_err(|error| Invalid::new(what(), &error))?;
        let mut value: HeaderValue = value.expose().parse().map_err(|error| Invalid::new(what(), &error))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

fn compress(body: Bytes, compression: Compression) -> std::io::Result<Bytes> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let packed = Vec::with_capacity(body.len() / 4);
            let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
            encoder.write_all(&body)?;
            Ok(encoder.finish()?.into())
        }
        Compression::Zstd => Ok(zstd::bulk::compress(&body, ZSTD_LEVEL)?.into()),
    }
}

fn with_tls(builder: ClientBuilder, tls: &Tls) -> Result<ClientBuilder, Invalid> {
    let invalid = |error: reqwest::Error| Invalid::new("certificates", &error);
    let builder = match &tls.ca {
        Some(pem) => {
            let certificates = Certificate::from_pem_bundle(pem).map_err(invalid)?;
            certificates
                .into_iter()
                .fold(builder.tls_built_in_root_certs(false), ClientBuilder::add_root_certificate)
        }
        None => builder,
    };
    let Some((certificate, key)) = &tls.identity else { return Ok(builder) };
    let identity = Identity::from_pem(&[key.as_slice(), b"\n", certificate].concat()).map_err(invalid)?;
    Ok(builder.identity(identity))
}
