//! Which settings say who we are, and what a person has to look at where they are not accepted. Pure.

use elasticsearch::http::Url;

use crate::config::ElasticsearchAuth;

/// Where it stands who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nowhere.
    None,
    /// In the URL.
    Url,
    /// A user with a password.
    User,
    /// An API key.
    ApiKey,
}

impl Credential {
    pub(super) fn of(auth: &ElasticsearchAuth, url: &Url) -> Self {
        match auth {
            ElasticsearchAuth::Basic { .. } => Self::User,
            ElasticsearchAuth::ApiKey(_) => Self::ApiKey,
            ElasticsearchAuth::None if !url.username().is_empty() => Self::Url,
            ElasticsearchAuth::None => Self::None,
        }
    }

    /// What to do about a 401, else about a 403.
    pub(crate) fn advice(self, status: u16) -> &'static str {
        match (self, status) {
            (Self::None, _) => "set elasticsearch.api_key, or elasticsearch.user and elasticsearch.password",
            (Self::Url, 401) => "check the user and the password in elasticsearch.url",
            (Self::Url, _) => "check the privileges of the user in elasticsearch.url",
            (Self::User, 401) => "check elasticsearch.user and elasticsearch.password",
            (Self::User, _) => "check the privileges of elasticsearch.user",
            (Self::ApiKey, 401) => "check elasticsearch.api_key",
            (Self::ApiKey, _) => "check the privileges of elasticsearch.api_key",
        }
    }
}
