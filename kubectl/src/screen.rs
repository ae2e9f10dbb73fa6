//! Where progress is shown: one line rewritten on a terminal, a line for each step elsewhere.

use std::{
    env,
    io::{self, IsTerminal, Stderr, Write},
    time::Duration,
};

use crate::progress::Report;

/// Goes to the start of the line, empties it, and lets nothing run on into the next one.
const BEGIN: &str = "\r\x1b[2K\x1b[?7l";
/// Lets long lines run on again.
const END: &str = "\x1b[?7h";

/// A place for progress.
pub struct Screen<W> {
    out: W,
    rewrites: bool,
    several: bool,
    drawn: bool,
}

impl Screen<Stderr> {
    /// The standard error stream; `several` units are shown on it, one after another.
    pub fn stderr(several: bool) -> Self {
        let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self { several, ..Self::new(io::stderr(), io::stderr().is_terminal() && !dumb) }
    }
}

impl<W: Write> Screen<W> {
    /// A place that understands the codes of terminals, or a plain one.
    pub const fn new(out: W, rewrites: bool) -> Self {
        Self { out, rewrites, several: false, drawn: false }
    }

    /// Shows how far the unit is; `stages` are the lines of those just passed.
    ///
    /// # Errors
    /// Where nobody reads any more.
    pub fn show(&mut self, report: &mut Report, stages: &[String], name: &str, elapsed: Duration) -> io::Result<()> {
        if self.rewrites {
            self.drawn = true;
            write!(self.out, "{BEGIN}{}{END}", report.line(name, elapsed))?;
        } else {
            for line in stages.iter().chain(&report.lasting(elapsed)) {
                if self.several {
                    write!(self.out, "{name} ")?;
                }
                writeln!(self.out, "{line}")?;
            }
        }
        self.out.flush()
    }

    /// Leaves the line as it is; what follows begins a new one.
    ///
    /// # Errors
    /// Where nobody reads any more.
    pub fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.drawn) { writeln!(self.out) } else { Ok(()) }
    }
}
