//! The daemon as the system sees it: signals, readiness, restarts.

use rustix::process::Signal;

use super::support::daemon::{Daemon, command, watchpost};

fn check(dir: &std::path::Path, args: &[&str], code: i32) -> String {
    let output = watchpost(dir, args);
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    error
}

#[test]
fn a_signal_drains_and_another_daemon_takes_over() {
    let mut dir = tempfile::tempdir().expect("a folder");
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(dir, "");
        check(daemon.dir(), &["events", "query"], 0);
        daemon.signal(signal);
        let status = daemon.wait();
        assert_eq!(status.code(), Some(0), "{}", daemon.log());
        assert!(!daemon.dir().join("api").exists());
        check(daemon.dir(), &["store", "check"], 0);
        dir = daemon.take_dir();
    }
}

#[test]
fn a_second_daemon_says_who_holds_the_store() {
    let daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    let error = check(daemon.dir(), &["store", "check"], 3);
    assert!(error.contains(&format!("process id {}", daemon.pid())), "{error}");
    let second = command(daemon.dir(), "").output().expect("it runs");
    assert_eq!(second.status.code(), Some(3));
    let error = String::from_utf8(second.stderr).expect("UTF-8");
    assert!(error.contains("the API cannot listen"), "{error}");
}

#[test]
fn what_is_killed_starts_again() {
    let mut daemon = Daemon::start(tempfile::tempdir().expect("a folder"), "");
    daemon.signal(Signal::KILL);
    daemon.wait();
    let again = Daemon::start(daemon.take_dir(), "");
    check(again.dir(), &["events", "query"], 0);
}
