//! What documents need before the first of them comes: the template, and an end.

use std::time::Duration;

use elasticsearch::http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Connection, Error, PATTERN, template};

/// The name of the template and of the lifecycle policy.
const NAME: &str = "watchpost";

/// How documents come to their end there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// By a lifecycle policy, which deletes a day's data stream at its age, and never begins a new backing index
    /// before: an event that is sent again always meets its first copy.
    Ilm,
    /// By the data stream's own lifecycle, where there are no policies. That also begins a new backing index from
    /// time to time, beyond which an event that is sent again counts twice.
    DataStream,
    /// The server deletes nothing by itself.
    Forever,
}

/// What was set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// The index template.
    pub template: &'static str,
    /// The data streams that it is for.
    pub data_streams: &'static str,
    /// How documents come to their end.
    pub retention_by: Kept,
    /// After how many days, at least 1; nothing where they are kept for ever.
    pub retention_days: Option<u64>,
}

/// Puts the template and the retention there; the same again changes nothing.
///
/// # Errors
/// All of [`Error`]; what came before the error stays.
pub async fn setup(connection: &Connection, retention: Duration) -> Result<Setup, Error> {
    let days = retention.as_secs().div_ceil(24 * 3600).max(1);
    let policy = policy(connection, days).await?;
    let body = template(policy.then_some(NAME));
    connection.ask(Method::Put, &format!("_index_template/{NAME}"), Some(&body)).await?;
    let retention_by = match policy {
        true => {
            adopt(connection).await?;
            Kept::Ilm
        }
        false if lifecycle(connection, body, days).await? => Kept::DataStream,
        false => Kept::Forever,
    };
    let retention_days = (retention_by != Kept::Forever).then_some(days);
    Ok(Setup { template: NAME, data_streams: PATTERN, retention_by, retention_days })
}

/// Makes the policy; false where the server has none.
async fn policy(connection: &Connection, days: u64) -> Result<bool, Error> {
    let phases = json!({"delete": {"min_age": format!("{days}d"), "actions": {"delete": {}}}});
    let body = json!({"policy": {"phases": phases, "_meta": {"made_by": "watchpost"}}});
    is_there(connection.ask(Method::Put, &format!("_ilm/policy/{NAME}"), Some(&body)).await)
}

/// Gives the policy to the data streams that are there already.
async fn adopt(connection: &Connection) -> Result<(), Error> {
    let path = format!("{PATTERN}/_settings?allow_no_indices=true");
    connection.ask(Method::Put, &path, Some(&json!({"index.lifecycle.name": NAME}))).await.map(drop)
}

/// Gives the data streams, those to come and those that are there, a lifecycle of their own; false where the
/// server has none.
async fn lifecycle(connection: &Connection, mut template: Value, days: u64) -> Result<bool, Error> {
    let lifecycle = json!({"data_retention": format!("{days}d")});
    let path = format!("_data_stream/{PATTERN}/_lifecycle");
    let put = connection.ask(Method::Put, &path, Some(&lifecycle)).await;
    // Said of a pattern that nothing matches yet, too.
    let none_yet = matches!(&put, Err(Error::Refused { kind, .. }) if kind == "index_not_found_exception");
    if !none_yet && !is_there(put)? {
        return Ok(false);
    }
    template["template"]["lifecycle"] = lifecycle;
    connection.ask(Method::Put, &format!("_index_template/{NAME}"), Some(&template)).await?;
    Ok(true)
}

/// Whether a server has an API at all: one that has not says so with a plain text and 400, 404, 405 or 410.
fn is_there(answer: Result<Value, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::Refused { status: 400 | 404 | 405 | 410, kind, .. }) if kind.is_empty() => Ok(false),
        // Elastic's serverless has no policies, and says that they are "not available".
        Err(Error::Refused { status: 410, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
