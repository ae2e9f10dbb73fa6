//! Output of progress: one line that is updated on a terminal, and one line per step otherwise.

use std::{
    env,
    io::{self, IsTerminal, Stderr, Write},
    time::Duration,
};

use crate::progress::Report;

/// Moves to the start of the line, clears it, and disables line wrapping.
const BEGIN: &str = "\r\x1b[2K\x1b[?7l";
/// Enables line wrapping.
const END: &str = "\x1b[?7h";

/// Output of progress.
pub struct Screen<W> {
    out: W,
    rewrites: bool,
    several: bool,
    drawn: bool,
}

impl Screen<Stderr> {
    /// Standard error. Lines have the name of their unit if there are `several`.
    pub fn stderr(several: bool) -> Self {
        let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self { several, ..Self::new(io::stderr(), io::stderr().is_terminal() && !dumb) }
    }
}

impl<W: Write> Screen<W> {
    /// An output that is a terminal (`rewrites`) or not.
    pub const fn new(out: W, rewrites: bool) -> Self {
        Self { out, rewrites, several: false, drawn: false }
    }

    /// Shows the progress. `stages` are the lines of the stages that the unit has newly passed.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn show(&mut self, report: &mut Report, stages: &[String], name: &str, elapsed: Duration) -> io::Result<()> {
        if self.rewrites {
            self.drawn = true;
            write!(self.out, "{BEGIN}{}{END}", report.line(name, elapsed))?;
        } else {
            for line in stages.iter().chain(&report.persisting(elapsed)) {
                if self.several {
                    write!(self.out, "{name} ")?;
                }
                writeln!(self.out, "{line}")?;
            }
        }
        self.out.flush()
    }

    /// Ends the line.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.drawn) { writeln!(self.out) } else { Ok(()) }
    }
}
