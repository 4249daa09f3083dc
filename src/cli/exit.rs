//! Exit codes, and errors that know theirs.

use std::io;

/// How a command ends. The numbers are part of the interface: see `watchpost --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Ok,
    /// A check found violations, or what was asked for is not there.
    Found,
    /// The arguments or the configuration are wrong.
    Usage,
    /// What it needs cannot be reached, or is held by another process.
    Unavailable,
    /// It failed in a way that it should not.
    Internal,
    /// The exit code of the command that was run.
    Command(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Internal => 70,
            Self::Command(code) => code,
        }
    }
}

/// What is said of the exit codes in the help.
pub(super) const HELP: &str = "\
Exit codes:
  0   done
  1   a check found violations, or what was asked for is not there
  2   the arguments or the configuration are wrong
  3   what is needed cannot be reached, or is held by another process
  70  an error that should not be";

/// A command's failure: what to print, and how to exit.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What to print; nothing where all is said, as when the reader of a pipe is gone.
    pub error: Option<anyhow::Error>,
}

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with its words.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: Some(error.into()) }
    }

    /// A failure told in one sentence.
    pub fn says(exit: Exit, words: impl Into<String>) -> Self {
        Self::new(exit, anyhow::Error::msg(words.into()))
    }
}

impl From<io::Error> for Failure {
    /// An error of writing the output: a pipe without a reader is the normal end of `| head`.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { exit: Exit::Ok, error: None },
            _ => Self::new(Exit::Internal, anyhow::Error::new(error).context("writing the output")),
        }
    }
}

impl From<crate::store::Error> for Failure {
    fn from(error: crate::store::Error) -> Self {
        use crate::store::Error;
        let exit = match error {
            Error::Locked { .. } | Error::NewerFormat { .. } | Error::NoRoom(_) | Error::Recovering(_) => {
                Exit::Unavailable
            }
            Error::UnsafeFs(_) | Error::Invalid(_) => Exit::Usage,
            Error::Io(_) | Error::Corrupt(_) => Exit::Internal,
        };
        Self::new(exit, error)
    }
}
