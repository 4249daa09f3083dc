//! How a session begins.

use serde::Serialize;
use uuid::Uuid;

use super::registry::Held;
use super::{Error, Sessions, check_id, idempotency, is_running};
use crate::event::session::{draft, kind};
use crate::event::{Data, Draft, SenderId, StreamId, Timestamp, Trace, Traceparent};
use crate::ingest;
use crate::store::{SessionInfo, Submission, Write};

/// What a session begins with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its id; `None`: a new UUIDv7. One of the caller's own is 1 to 128 of `A-Z a-z 0-9 _ - =`, is not `latest`,
    /// and does not begin with `proc-`, `source-`, `hub-` or `observer-`.
    pub id: Option<StreamId>,
    /// The data of `session_started`.
    pub metadata: Data,
    /// The context of the caller, whose trace the session is in then.
    pub traceparent: Option<Traceparent>,
    /// When it began; `None`: now.
    pub ts: Option<Timestamp>,
    /// A request with the same key is the same request: 1 to 128 visible ASCII characters, remembered for 24 hours.
    pub idempotency_key: Option<String>,
}

impl Start {
    /// With this metadata, an object: `command`, `name` and the other fields of `session_started`.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn new(metadata: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::from_data(Data::from_value(metadata)?))
    }

    /// With this metadata.
    pub fn from_data(metadata: Data) -> Self {
        Self { id: None, metadata, traceparent: None, ts: None, idempotency_key: None }
    }

    fn draft(&self, id: &StreamId, ts: Timestamp) -> Result<Draft, Error> {
        let mut draft = draft(id, kind::SESSION_STARTED, self.metadata.clone())?;
        // The type is also the sender's id, so that a session begins once.
        (draft.id, draft.ts) = (Some(SenderId::new(kind::SESSION_STARTED)?), Some(ts));
        draft.trace = Some(Trace::root(id, ts, self.traceparent.as_ref()));
        Ok(draft)
    }

    /// The answer where that session is there already.
    fn again(&self, session: &SessionInfo) -> Result<Begun, Error> {
        let differs = |field| {
            let message = format!("the session {} was begun with another one", session.id);
            Err(Error::Conflict { field, message })
        };
        if !same(&self.metadata, &session.metadata) {
            return differs("metadata");
        }
        if self.ts.is_some_and(|ts| ts != session.start) {
            return differs("ts");
        }
        let trace = session.trace.clone().unwrap_or_else(|| Trace::root(&session.id, session.start, None));
        let caller = self.traceparent.as_ref();
        if caller.is_some_and(|caller| {
            trace.trace_id != caller.trace_id || trace.parent_id.as_ref() != Some(&caller.span_id)
        }) {
            return differs("traceparent");
        }
        let traceparent = Traceparent::of(&trace, &session.id, session.start);
        Ok(Begun { id: session.id.clone(), traceparent, seq: 1, duplicate: true })
    }
}

fn same(a: &Data, b: &Data) -> bool {
    let value = |data: &Data| data.read::<serde_json::Value>().ok();
    a == b || value(a).is_some_and(|a| Some(a) == value(b))
}

/// A session that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// Its id.
    pub id: StreamId,
    /// The context that its children are in.
    #[serde(serialize_with = "as_text")]
    pub traceparent: Traceparent,
    /// The seq of `session_started`: 1.
    pub seq: u64,
    /// Whether it had been begun before.
    pub duplicate: bool,
}

fn as_text<S: serde::Serializer>(traceparent: &Traceparent, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(traceparent)
}

impl Sessions {
    /// Begins a session; `writer` is the record of the writer where that is in this process.
    pub(super) async fn begin_as(&self, start: Start, writer: Option<Vec<u8>>) -> Result<Begun, Error> {
        start.id.as_ref().map(check_id).transpose()?;
        let remote = writer.is_none();
        let begun = match start.idempotency_key.as_deref() {
            Some(key) => self.begin_with_key(&start, writer, key).await?,
            None => self.begin_once(&start, writer, None).await?,
        };
        if remote && (!begun.duplicate || self.inner.store.session(&begun.id)?.is_some_and(|s| is_running(&s))) {
            self.inner.registry.touch(&begun.id);
        }
        Ok(begun)
    }

    async fn begin_with_key(&self, start: &Start, writer: Option<Vec<u8>>, key: &str) -> Result<Begun, Error> {
        idempotency::check(key)?;
        let _turn = self.inner.keys.turn(key).await;
        match idempotency::find(&self.inner.store, key, start)? {
            Some(begun) => Ok(begun),
            None => self.begin_once(start, writer, Some(key)).await,
        }
    }

    async fn begin_once(&self, start: &Start, writer: Option<Vec<u8>>, key: Option<&str>) -> Result<Begun, Error> {
        let inner = &self.inner;
        if let Some(id) = &start.id
            && let Some(session) = inner.store.session(id)?
        {
            return start.again(&session);
        }
        let id = match &start.id {
            Some(id) => id.clone(),
            None => StreamId::new(Uuid::now_v7().to_string())?,
        };
        let ts = start.ts.unwrap_or_else(Timestamp::now);
        let draft = start.draft(&id, ts)?;
        let trace = draft.trace.clone().unwrap_or_else(|| Trace::root(&id, ts, None));
        let begun = Begun { traceparent: Traceparent::of(&trace, &id, ts), id, seq: 1, duplicate: false };
        let mut writes: Vec<Write> = key.map(|key| idempotency::remember(key, start, &begun)).into_iter().collect();
        let unknown = if writer.is_some() { Held::Gone } else { Held::remote() };
        writes.extend(writer.map(|writer| super::registry::writer(&begun.id, Some(writer))));
        let faster =
            match inner.ingest.submit(Submission { drafts: vec![draft], writes, ..Submission::default() }).await {
                Ok(receipts) if receipts.iter().any(|receipt| receipt.duplicate) => None,
                Ok(_) => return Ok(begun),
                Err(ingest::Error::Refused(refused)) => Some(refused),
                Err(error) => {
                    if matches!(error, ingest::Error::Unknown(_)) {
                        // It may be there, and whoever began it may not come again.
                        inner.registry.hold(&begun.id, unknown);
                    }
                    return Err(error.into());
                }
            };
        // Somebody else was faster with the same id.
        match (inner.store.session(&begun.id)?, faster) {
            (Some(session), _) => start.again(&session),
            (None, Some(refused)) => Err(ingest::Error::Refused(refused).into()),
            (None, None) => Err(Error::NotFound(begun.id)),
        }
    }
}
