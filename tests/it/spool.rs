//! The spool, taken in by a service over a store: in order, once, whatever is cut off in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchpost::config;
use watchpost::event::{Data, Event, StreamId, Timestamp};
use watchpost::ingest::{Ingest, Ingestor};
use watchpost::session::{End, Sessions};
use watchpost::source::spool::{ASIDE, Error, Line, MAX_SPOOL, Place, Spool, Start};
use watchpost::store::{Disk, Limit, Status, Store, Tree, Write};

use super::support::wait;

/// A store with the service of sessions, and a folder for the spool.
struct Bench {
    dir: TempDir,
    disk: Disk,
    store: Store,
    sessions: Sessions,
    _ingestor: Ingestor,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Bench {
    fn new() -> Self {
        Self::on(tempfile::tempdir().expect("a folder"), Disk::default())
    }

    fn on(dir: TempDir, disk: Disk) -> Self {
        let store = Store::on(&disk).expect("a store");
        let (ingest, ingestor) = Ingest::start(&store).expect("a good store");
        let settings = config::Session::default();
        let (sessions, _keeper) = Sessions::start(store.clone(), ingest, settings).expect("a good store");
        Self { dir, disk, store, sessions, _ingestor: ingestor, running: None }
    }

    fn spool(&self) -> &Path {
        self.dir.path()
    }

    fn place(&self, session: &str) -> Place {
        Place::new(self.spool(), &id(session))
    }

    fn start(&mut self) {
        let stop = CancellationToken::new();
        let spool = Spool::new(self.spool().to_owned(), self.sessions.clone());
        self.running = Some((stop.clone(), tokio::spawn(spool.run(stop))));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().expect("it runs");
        stop.cancel();
        task.await.expect("no panic");
    }

    /// The daemon is killed: whatever was not flushed is gone; another one starts.
    async fn crash(mut self) -> Self {
        let (_, task) = self.running.take().expect("it runs");
        task.abort();
        let _aborted = task.await;
        let Self { dir, disk, store, sessions, _ingestor, .. } = self;
        drop((store, sessions));
        let _ended = tokio::task::spawn_blocking(move || _ingestor.drain()).await.expect("no panic");
        disk.crash(0);
        Self::on(dir, disk)
    }

    fn events(&self, session: &str) -> Vec<Event> {
        let log = self.store.stream(&id(session), 1, Limit::events(100_000)).expect("readable");
        log.into_iter().map(|logged| Arc::unwrap_or_clone(logged.event)).collect()
    }

    fn kinds(&self, session: &str) -> Vec<String> {
        self.events(session).iter().map(|event| event.kind.to_string()).collect()
    }

    async fn gone(&self, place: &Place) {
        wait::until("the file to be taken", async || (!place.is_there()).then_some(())).await;
    }

    /// What was set aside: the names of files and their text.
    fn aside(&self) -> Vec<(String, String)> {
        let Ok(files) = std::fs::read_dir(self.spool().join(ASIDE)) else { return Vec::new() };
        let one = |path: PathBuf| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("readable"))
        };
        let mut all: Vec<_> = files.map(|file| one(file.expect("an entry").path())).collect();
        all.sort();
        all
    }
}

fn id(session: &str) -> StreamId {
    StreamId::new(session).expect("an id")
}

fn begin(session: &str) -> Line {
    Line::Start(Start {
        id: Some(id(session)),
        ts: Some(Timestamp::from_millis(1_760_608_411_000)),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        metadata: Data::parse(r#"{"command":"make","args":["all"]}"#.into()).expect("an object"),
    })
}

fn event(n: usize) -> Line {
    Line::Event(format!(r#"{{"id":"e-{n}","type":"step_{n}","ts":"2025-10-16T09:53:32Z","data":{{"n":{n}}}}}"#))
}

fn end() -> Line {
    Line::End(End { exit_code: Some(2), ..End::failed("exit code 2") })
}

/// The types of a session with so many events in between.
fn whole(events: usize) -> Vec<String> {
    let steps = (0..events).map(|n| format!("step_{n}"));
    ["session_started".to_owned()].into_iter().chain(steps).chain(["session_ended".to_owned()]).collect()
}

fn write(place: &Place, lines: impl IntoIterator<Item = Line>) {
    for line in lines {
        place.append(&line).expect("room");
    }
}

#[tokio::test]
async fn a_session_that_was_left_is_taken_in_order_and_its_file_is_gone() {
    let mut bench = Bench::new();
    let place = bench.place("a");
    write(&place, [begin("a")].into_iter().chain((0..50).map(event)).chain([end()]));
    bench.start();
    bench.gone(&place).await;
    assert_eq!(bench.kinds("a"), whole(50));
    let session = bench.store.session(&id("a")).expect("readable").expect("it is there");
    assert_eq!((session.status, session.start.as_millis()), (Status::Failed, 1_760_608_411_000));
    assert_eq!(session.metadata.get(), r#"{"command":"make","args":["all"]}"#);
    let trace = session.trace.expect("a trace");
    assert_eq!(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(bench.events("a")[51].data.get(), r#"{"status":"failed","exit_code":2,"error":"exit code 2"}"#);
    assert_eq!(bench.store.get(Tree::Snapshots, "spool:a"), Ok(None));
    assert_eq!(bench.aside(), []);
}

#[tokio::test]
async fn a_file_is_taken_while_it_is_written_and_stays_as_long_as_it_is_held() {
    let mut bench = Bench::new();
    let place = bench.place("a");
    let hold = place.hold().expect("made");
    write(&place, [begin("a"), event(0)]);
    bench.start();
    let seen = async |bench: &Bench, count: usize| {
        wait::until("the events so far", async || (bench.kinds("a").len() == count).then_some(())).await;
    };
    seen(&bench, 2).await;
    write(&place, [event(1)]);
    seen(&bench, 3).await;
    // A line that is not whole yet waits for its end.
    let mut file = std::fs::File::options().append(true).open(place.path()).expect("it is there");
    std::io::Write::write_all(&mut file, br#"{"type":"step_2","#).expect("written");
    bench.stop().await;
    bench.start();
    assert_eq!(bench.kinds("a").len(), 3);
    std::io::Write::write_all(&mut file, b"\"data\":{}}\n").expect("written");
    seen(&bench, 4).await;
    assert!(place.is_there());
    write(&place, [end()]);
    drop((hold, file));
    bench.gone(&place).await;
    assert_eq!(bench.kinds("a"), whole(3));
    assert!(!place.append_if_there(&event(9)).expect("no file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_crashes_in_the_middle_again_and_again_takes_each_line_once() {
    let mut bench = Bench::new();
    let place = bench.place("a");
    let hold = place.hold().expect("made");
    write(&place, [begin("a")]);
    let total = 1200;
    for round in 0..12 {
        bench.start();
        let from = round * 100;
        let writer = {
            let place = place.clone();
            tokio::task::spawn_blocking(move || write(&place, (from..from + 100).map(event)))
        };
        let enough = rand::random_range(0..from + 100);
        wait::until("some to be taken", async || (bench.events("a").len() >= enough).then_some(())).await;
        if round % 3 == 0 {
            // As if the note of how far it was had been lost.
            bench.store.put(&[Write::remove(Tree::Snapshots, "spool:a")]).expect("room");
        }
        bench = bench.crash().await;
        writer.await.expect("written");
    }
    write(&place, [end()]);
    drop(hold);
    bench.start();
    bench.gone(&place).await;
    let kinds: Vec<String> = bench.kinds("a").into_iter().filter(|kind| !kind.starts_with("session_re")).collect();
    assert_eq!(kinds, whole(total));
    assert_eq!(bench.aside(), []);
}

#[tokio::test]
async fn what_cannot_be_taken_is_set_aside_with_its_reason_and_keeps_nothing_back() {
    let mut bench = Bench::new();
    let place = bench.place("a");
    write(
        &place,
        [begin("a"), event(0), Line::Event("{no JSON".into()), Line::Event(r#"{"type":"Bad"}"#.into()), event(1)],
    );
    let mut file = std::fs::File::options().append(true).open(place.path()).expect("it is there");
    std::io::Write::write_all(&mut file, br#"{"type":"cut_o"#).expect("written");
    std::fs::write(bench.spool().join("no.id.jsonl"), "{}\n").expect("written");
    let other = bench.place("b");
    write(&other, [begin("c"), event(0)]);
    let unknown = bench.place("d");
    write(&unknown, [event(0)]);
    bench.start();
    for place in [&place, &other, &unknown] {
        bench.gone(place).await;
    }
    assert_eq!(bench.kinds("a"), ["session_started", "step_0", "step_1"]);
    let aside = bench.aside();
    let text = |of: &str| {
        let found = aside.iter().filter(|(name, _)| name.ends_with(of)).map(|(_, text)| text.as_str());
        found.collect::<Vec<_>>().join("|")
    };
    let lines: Vec<serde_json::Value> =
        text("a.lines.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["text"].as_str())).collect();
    let expected = [(3, "{no JSON"), (4, r#"{"type":"Bad"}"#), (6, r#"{"type":"cut_o"#)];
    assert_eq!(told, expected.map(|(line, text)| (Some(line), Some(text))), "{lines:?}");
    assert!(lines[1]["reason"].as_str().is_some_and(|reason| reason.starts_with("type: expected")), "{lines:?}");
    assert!(text("d.lines.jsonl").contains("there is no session d"), "{aside:?}");
    assert_eq!(text("-no.id.reason"), "its name is no session's id\n");
    assert_eq!(text("-b.reason"), "start: it is of another session than the file's name\n");
    assert_eq!(text("-b.jsonl").lines().count(), 2, "the file is there as it was");
}

#[tokio::test]
async fn a_full_spool_takes_no_more_and_says_so() {
    let bench = Bench::new();
    let place = bench.place("a");
    write(&place, [begin("a")]);
    let large = std::fs::File::create(bench.spool().join("b.jsonl")).expect("made");
    large.set_len(MAX_SPOOL - place.path().metadata().expect("it is there").len() - 10).expect("a sparse file");
    let error = place.append(&event(0)).expect_err("no room");
    assert!(matches!(error, Error::Full(_)) && error.to_string().contains("256 MiB already"), "{error}");
    drop(large);
    std::fs::remove_file(bench.spool().join("b.jsonl")).expect("removed");
    place.append(&event(0)).expect("room again");
}

#[tokio::test]
async fn two_files_of_a_session_one_after_the_other_are_both_taken_whole() {
    let mut bench = Bench::new();
    let place = bench.place("a");
    let anonymous = || Line::Event(r#"{"type":"same","data":{}}"#.into());
    write(&place, [begin("a"), anonymous()]);
    bench.start();
    bench.gone(&place).await;
    // With the first line in the place of the second, it is the same line twice but for the file.
    write(&place, [begin("a"), anonymous()]);
    bench.gone(&place).await;
    assert_eq!(bench.kinds("a"), ["session_started", "same", "same"]);
    assert_eq!(bench.aside(), []);
}
