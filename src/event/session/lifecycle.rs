//! A session's beginning, its end, and what came between its writer and it.

use std::collections::BTreeMap;

use super::payload::{Text, payload};

payload! {
    /// A command has started; always seq 1.
    SessionStarted<'a> {
        /// What runs: the program, or the name of the command.
        command: Text<'a>,
        /// The command in a few words, for lists.
        command_summary: Text<'a>,
        /// The arguments.
        args: Vec<Text<'a>>,
        /// The folder in which it runs.
        cwd: Text<'a>,
        /// The user.
        user: Text<'a>,
        /// The host.
        host: Text<'a>,
        /// The revision that is checked out there, if it is a repository.
        git_revision: Text<'a>,
        /// A name that a person gave the session.
        name: Text<'a>,
        /// The service that it belongs to; becomes `service.name`.
        service: Text<'a>,
    }
}

payload! {
    /// The command has ended; always the last event.
    SessionEnded<'a> {
        /// `completed` or `failed`.
        status: Text<'a>,
        /// The command's exit code.
        exit_code: i64,
        /// Why it failed.
        error: Text<'a>,
        /// What it counted, by name.
        counts: BTreeMap<Text<'a>, u64>,
        /// A person closed it, as nobody would resume it.
        closed: bool,
        /// Why it ended so.
        reason: Text<'a>,
    }
}

payload! {
    /// The writer is gone without an end; written by Watchpost.
    SessionInterrupted<'a> {
        /// `writer_gone` (its process ended or dropped it) or `idle` (neither an event nor a heartbeat).
        reason: Text<'a>,
        /// How long nothing had been heard of it, in milliseconds.
        idle_ms: u64,
    }
}

payload! {
    /// The writer is back; written by Watchpost before the event that showed it.
    SessionResumed {
        /// The segment that begins here: 2, 3…
        segment: u64,
        /// The seq of the interruption that it ends.
        interrupted_seq: u64,
        /// How long the writer was away, in milliseconds.
        away_ms: u64,
    }
}

payload! {
    /// The store refused to commit for too long, so the session counts as failed; written by Watchpost.
    IngestFailed<'a> {
        /// The store's error.
        error: Text<'a>,
        /// When commits began to fail, RFC 3339.
        since: Text<'a>,
        /// How long they have failed, in milliseconds.
        failing_ms: u64,
        /// How many events of the session were refused meanwhile.
        refused: u64,
    }
}
