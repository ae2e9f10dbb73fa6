//! Writes the results into a folder after each phase, so that those of a run that fails later are kept.

use std::{fs, path::Path};

use anyhow::Context;

use super::{
    plots::plots,
    report::{Phase, Report},
    tables,
};

/// The file of all results, from which the page can be drawn again.
const DATA: &str = "scale.json";
/// The page.
const PAGE: &str = "scale.md";

/// The results of a run, and their folder.
pub struct Results<'a> {
    /// The results so far.
    pub report: Report,
    /// The folder.
    pub folder: &'a Path,
}

impl Results<'_> {
    /// Prints a phase, and writes all results.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn add(&mut self, phase: Phase) -> anyhow::Result<()> {
        println!("\n{}", tables::phase(&phase));
        self.report.phases.push(phase);
        fs::create_dir_all(self.folder)?;
        fs::write(self.folder.join(DATA), serde_json::to_string_pretty(&self.report)?)?;
        draw(&self.report, self.folder)
    }
}

/// Writes the page and the plots of a report into a folder.
///
/// # Errors
/// If they cannot be written.
pub fn draw(report: &Report, folder: &Path) -> anyhow::Result<()> {
    let plots = plots(report)?;
    for (file, _, svg) in &plots {
        fs::write(folder.join(file), svg)?;
    }
    let plots: Vec<_> = plots.into_iter().map(|(file, title, _)| (file, title)).collect();
    Ok(fs::write(folder.join(PAGE), tables::page(report, &plots))?)
}

/// Draws the page of results that were written before, beside them.
///
/// # Errors
/// If they cannot be read.
pub fn redraw(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(DATA);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    draw(&serde_json::from_str(&text)?, folder)
}
