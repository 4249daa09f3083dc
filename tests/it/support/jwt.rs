//! What a NATS server in operator mode and its users have to show: tokens signed with nkeys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator with a system account, an account that may use JetStream, and one user of it.
pub(crate) struct Operator {
    /// For the server's configuration.
    pub(crate) config: String,
    /// The user's credentials file.
    pub(crate) credentials: String,
}

/// Makes them with new keys.
pub(crate) fn operator() -> Operator {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1
    });
    let unlimited = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1});
    let operator_token = sign(&operator, &operator, "operator", json!({}));
    let system_token = sign(&operator, &system, "account", json!({"limits": unlimited}));
    let account_token = sign(&operator, &account, "account", json!({"limits": limits}));
    let user_token =
        sign(&account, &user, "user", json!({"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}));
    let (system, account) = (system.public_key(), account.public_key());
    let config = format!(
        "operator: {operator_token}\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {system}: {system_token}\n {account}: {account_token} }}\n"
    );
    let seed = user.seed().expect("a new key has its seed");
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    Operator { config, credentials }
}

fn sign(issuer: &KeyPair, subject: &KeyPair, kind: &str, mut claims: Value) -> String {
    claims["type"] = kind.into();
    claims["version"] = 2.into();
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": subject.public_key(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": kind, "sub": subject.public_key(), "nats": claims
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&body));
    let signature = issuer.sign(signed.as_bytes()).expect("a new key can sign");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
