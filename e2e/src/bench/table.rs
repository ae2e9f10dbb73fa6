//! Results as Markdown.

use std::time::Duration;

/// Prints a heading.
pub fn heading(text: &str) {
    println!("\n## {text}\n");
}

/// Prints a table.
pub fn print(head: &[&str], rows: &[Vec<String>]) {
    print!("{}", table(head, rows));
}

/// A table.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    text += &line(&vec!["---".to_owned(); head.len()]);
    for row in rows {
        text += &line(row);
    }
    text
}

/// A sample of times, which can be negative.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<f64>);

impl Times {
    /// Adds a time in milliseconds.
    pub fn add(&mut self, milliseconds: f64) {
        self.0.push(milliseconds);
        self.0.sort_by(f64::total_cmp);
    }

    /// A quantile, in milliseconds.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    /// Median, 99th percentile and maximum, as cells.
    #[must_use]
    pub fn cells(&self) -> Vec<String> {
        [0.5, 0.99, 1.0].map(|share| format!("{:.1}", self.quantile(share))).to_vec()
    }
}

/// A duration in milliseconds.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
