//! The command: started in our own group of processes, so that it is stopped and resumed with us, and that what
//! the terminal sends to the group reaches it by itself. What was sent to us alone is passed on.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;
use signal_hook::low_level::signal_name;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::client::sessions::End;

/// The signals that are passed on.
const PASSED: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

/// How the command ended.
pub(super) enum Outcome {
    /// By itself, or by a signal.
    Ended(ExitStatus),
    /// It could not be started.
    NotRun {
        /// Why.
        error: String,
        /// Whether there is no such command.
        missing: bool,
    },
}

impl Outcome {
    /// The exit code, as a shell has it.
    pub(super) fn code(&self) -> u8 {
        let code = match self {
            Self::Ended(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            Self::NotRun { missing: true, .. } => 127,
            Self::NotRun { .. } => 126,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }

    /// The end of its session.
    pub(super) fn end(&self) -> End {
        let exit_code = Some(i64::from(self.code()));
        match self {
            Self::Ended(status) if status.success() => End { exit_code, ..End::completed() },
            Self::Ended(status) => {
                let error = match status.signal() {
                    Some(signal) => format!("killed by {}", name(signal)),
                    None => format!("exit code {}", self.code()),
                };
                End { exit_code, ..End::failed(error) }
            }
            Self::NotRun { error, .. } => End { exit_code, ..End::failed(error.clone()) },
        }
    }
}

fn name(signal: i32) -> String {
    signal_name(signal).map_or_else(|| format!("signal {signal}"), Into::into)
}

/// Runs it to its end.
pub(super) async fn run(command: &[OsString], variables: &[(&'static str, OsString)]) -> Outcome {
    let not_run = |error: io::Error| Outcome::NotRun {
        missing: error.kind() == io::ErrorKind::NotFound,
        error: format!("it cannot be run: {error}"),
    };
    let Some((program, args)) = command.split_first() else {
        return not_run(io::ErrorKind::NotFound.into());
    };
    // Before the start: a signal in between must not end us and leave it alone.
    let mut signals = match listen() {
        Ok(signals) => signals,
        Err(error) => return not_run(error),
    };
    let mut command = Command::new(program);
    command.args(args).envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return not_run(error),
    };
    loop {
        tokio::select! {
            status = child.wait() => break status.map_or_else(not_run, Outcome::Ended),
            Some(signal) = signals.recv() => pass(child.id(), signal),
        }
    }
}

fn pass(child: Option<u32>, signal: i32) {
    let pid = child.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // An error means that it has just ended.
        let _ended = kill_process(pid, signal);
    }
}

/// Listens for signals in a thread, and hands on those that a program sent. The terminal's own come from the
/// kernel and go to the whole group, so the command has them already.
fn listen() -> io::Result<mpsc::Receiver<i32>> {
    let ignored = ignored();
    // What whoever started us wants ignored, as `nohup` does, the command is to ignore too.
    let heeded = PASSED.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = SignalsInfo::<WithOrigin>::new(heeded)?;
    let (sender, receiver) = mpsc::channel(PASSED.len());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for origin in signals.forever().filter(|origin| origin.cause != Cause::Kernel) {
            if sender.blocking_send(origin.signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// The set of signals that this process ignores; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
