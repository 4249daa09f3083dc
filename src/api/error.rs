//! Errors as every route answers them: `{"error": {"field": …, "message": …}}`.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::event::Invalid;
use crate::store;

/// What went wrong, for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The HTTP status.
    pub status: StatusCode,
    /// The field, parameter or header that is wrong.
    pub field: Option<&'static str>,
    /// What is wrong with it.
    pub message: String,
    /// When it may go well, in seconds.
    pub retry_after: Option<u64>,
}

impl Error {
    /// An error that names no field.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { status, field: None, message: message.into(), retry_after }
    }

    /// Too much at once: it may go well after that time.
    pub fn too_fast(wait: Duration, message: impl Into<String>) -> Self {
        let retry_after = Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// An error in a field, parameter or header.
    pub fn field(status: StatusCode, field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(status, message) }
    }
}

impl Error {
    /// As it stands in a body.
    pub(super) fn json(&self) -> Value {
        match self.field {
            Some(field) => json!({ "field": field, "message": self.message }),
            None => json!({ "message": self.message }),
        }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::field(StatusCode::BAD_REQUEST, invalid.field, invalid.to_string())
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Invalid(invalid) => invalid.into(),
            store::Error::NoRoom(_) | store::Error::Recovering(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(json!({ "error": self.json() }))).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
