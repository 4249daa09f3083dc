//! A log with events in it whose ids, times and order are known.

use watchpost::config;
use watchpost::event::process::{ProcessData, ProcessState};
use watchpost::event::{Data, Draft, Kind, Origin, SenderId, Severity, StreamId, Subject, Timestamp};
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::store::{Receipt, Store, Submission};

/// The time of the first event.
pub(crate) const START: i64 = 1_760_608_411_000;

/// A log that can be written to.
pub(crate) struct Log {
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    ingestor: Ingestor,
}

impl Log {
    /// Writes to that store.
    pub(crate) fn on(store: Store) -> Self {
        let (ingest, ingestor) = Ingest::start(&store).expect("ingest starts");
        Self { store, ingest, ingestor }
    }

    /// Commits one event of `default/NAME`, a second after the one with the number before.
    pub(crate) async fn event(&self, n: u64, name: &str, kind: &str) -> Receipt {
        let submission = Submission::events(vec![draft(n, name, kind)]);
        self.ingest.submit(submission).await.expect("room")[0]
    }

    /// Ends the threads; the store can be closed then.
    pub(crate) fn close(self) {
        self.ingestor.drain().expect("a quiet end");
    }
}

/// Makes a store of six events: two processes start, one becomes healthy, the other crashes and comes back.
pub(crate) async fn six_events(settings: &config::Store) {
    let log = Log::on(Store::open(settings).expect("a store"));
    let events = [("api", "started"), ("web", "started"), ("api", "healthy")];
    let more = [("web", "crashed"), ("web", "restarted"), ("web", "started")];
    for (n, (name, kind)) in events.into_iter().chain(more).enumerate() {
        log.event(n as u64, name, kind).await;
    }
    log.close();
}

/// Event number `n`, of the process `default/NAME`.
pub(crate) fn draft(n: u64, name: &str, kind: &str) -> Draft {
    let kind = Kind::new(kind).expect("a type");
    let stream = StreamId::new("proc-main-1").expect("an id");
    let subject = Subject::process("core.process", "default", name, &kind).expect("a subject");
    let data = Data::from_value(&data(name, kind.as_str())).expect("an object");
    let severity = if kind.as_str() == "crashed" { Severity::Error } else { Severity::Info };
    Draft {
        id: Some(SenderId::new(format!("00000000-0000-4000-8000-{n:012}")).expect("an id")),
        ts: Some(Timestamp::from_millis(START + n as i64 * 1000)),
        origin: Origin { source: Some("main".into()), ..Origin::default() },
        ..Draft::new(stream, kind, subject, severity, data)
    }
}

fn data(name: &str, kind: &str) -> ProcessData {
    ProcessData {
        process: name.into(),
        namespace: "default".into(),
        namespaces: Vec::new(),
        run_id: None,
        exit_code: (kind == "crashed").then_some(1),
        reason: None,
        by: None,
        restarts: None,
        unseen: None,
        previous_status: None,
        initial: false,
        inferred: false,
        ambiguous: false,
        state: ProcessState {
            name: name.into(),
            namespace: "default".into(),
            status: "Running".into(),
            is_ready: "-".into(),
            has_ready_probe: false,
            restarts: 0,
            exit_code: 0,
            is_running: true,
            replicas: None,
            pid: 41,
            age: 0,
            mem: -1,
            cpu: -1.0,
        },
    }
}
