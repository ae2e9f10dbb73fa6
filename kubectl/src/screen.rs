//! Output of progress: a line for each unit that is updated on a terminal, and a line for each step otherwise.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Report;

/// The line of a unit. indicatif shortens it to the width of the terminal.
const LINE: &str = "{prefix}  {wide_msg}";

/// Output of progress.
pub struct Screen<'a> {
    labels: Vec<String>,
    output: Output<'a>,
}

enum Output<'a> {
    Terminal { _all: MultiProgress, lines: Vec<ProgressBar> },
    Lines(Box<dyn Write + 'a>),
}

impl Screen<'static> {
    /// Standard error, with a label for each unit.
    pub fn stderr(labels: Vec<String>) -> Self {
        if io::stderr().is_terminal() {
            Self::terminal(labels, ProgressDrawTarget::stderr())
        } else {
            Screen::lines(labels, io::stderr())
        }
    }

    /// A terminal.
    pub fn terminal(labels: Vec<String>, target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let width = labels.iter().map(String::len).max().unwrap_or_default();
        let style = ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = |label: &String| {
            all.add(ProgressBar::no_length().with_style(style.clone()).with_prefix(format!("{label:width$}")))
        };
        let lines = labels.iter().map(line).collect();
        Self { labels, output: Output::Terminal { _all: all, lines } }
    }
}

impl<'a> Screen<'a> {
    /// An output that is not a terminal. Lines have the label of their unit if there are several.
    pub fn lines(labels: Vec<String>, out: impl Write + 'a) -> Self {
        Self { labels, output: Output::Lines(Box::new(out)) }
    }

    /// Shows the progress of a unit. `stages` are the lines of the stages that it has newly passed.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn show(&mut self, unit: usize, report: &mut Report, stages: &[String], elapsed: Duration) -> io::Result<()> {
        match &mut self.output {
            Output::Terminal { lines, .. } => {
                if let Some(line) = lines.get(unit) {
                    line.set_message(report.line(elapsed));
                }
                Ok(())
            }
            Output::Lines(out) => {
                let width = self.labels.iter().map(String::len).max().unwrap_or_default();
                for line in stages.iter().chain(&report.persisting(elapsed)) {
                    if self.labels.len() > 1 {
                        write!(out, "{:width$} ", self.labels[unit])?;
                    }
                    writeln!(out, "{line}")?;
                }
                out.flush()
            }
        }
    }

    /// Leaves the line of a unit as it is.
    pub fn finish(&mut self, unit: usize) {
        if let Output::Terminal { lines, .. } = &self.output
            && let Some(line) = lines.get(unit)
        {
            line.abandon();
        }
    }

    /// Leaves all lines as they are.
    pub fn close(&mut self) {
        (0..self.labels.len()).for_each(|unit| self.finish(unit));
    }
}
