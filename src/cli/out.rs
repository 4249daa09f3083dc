//! The one way to standard output.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::Environment;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Standard output, or what stands in for it in a test.
pub struct Out {
    writer: Box<dyn Write + Send>,
    /// Whether lines may have colour.
    pub colour: bool,
    terminal: bool,
}

impl Out {
    /// The process's own.
    pub fn standard(colour: Colour, environment: &Environment) -> Self {
        let plain = environment.get("NO_COLOR").is_some_and(|word| !word.is_empty());
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !plain && io::stdout().is_terminal(),
        };
        let terminal = io::stdout().is_terminal();
        Self { writer: Box::new(io::BufWriter::new(io::stdout())), colour, terminal }
    }

    /// Another writer, without colour.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), colour: false, terminal: false }
    }

    /// The columns and rows of the terminal that is written to, as they are now; `None` where it is none.
    pub fn size(&self) -> Option<(usize, usize)> {
        let size = self.terminal.then(terminal_size::terminal_size).flatten();
        size.map(|(width, height)| (usize::from(width.0), usize::from(height.0)))
    }

    /// Writes a line. It may stay in a buffer until [`Out::flush`].
    pub fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        self.writer.write_all(line.as_ref().as_bytes())?;
        self.writer.write_all(b"\n")
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }

    /// Writes an object on one line.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.writer, value)?;
        self.writer.write_all(b"\n")
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer itself, for what writes much.
    pub fn writer(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.writer
    }
}

/// Rows under their headings, each column as wide as its widest cell; the last is not filled up.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let heading: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |row: &&Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}
