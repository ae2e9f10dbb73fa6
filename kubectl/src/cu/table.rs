//! Rows in columns that stay where they are, also for rows that come later. Pure.

use unicode_width::UnicodeWidthStr;

use crate::status::one_line;

/// What stands between columns.
const GAP: usize = 3;
/// What stands where there is nothing.
const NOTHING: &str = "-";

/// How wide the columns are.
#[derive(Debug)]
pub struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Columns wide enough for these rows.
    pub fn fitting(rows: &[Vec<String>]) -> Self {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| clean(cell).width()).max();
        Self { widths: (0..columns).map(|column| width(column).unwrap_or(0)).collect() }
    }

    /// One row, without blanks at its end. Cells come from elsewhere: nothing in them is obeyed by a terminal.
    pub fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let cell = clean(cell);
            let missing = self.widths.get(index).copied().unwrap_or(0).saturating_sub(cell.width());
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', missing + GAP));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// All rows under their headings, in lines.
pub fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let table = Table::fitting(rows);
    rows.iter().map(|row| table.line(row)).collect()
}

fn clean(cell: &str) -> String {
    let cell = one_line(cell);
    if cell.is_empty() { NOTHING.to_owned() } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [row(&["NAME", "PHASE"]), row(&["ada", "Ready"]), row(&["björn-日本", ""])];
        assert_eq!(lines(&rows), ["NAME         PHASE", "ada          Ready", "björn-日本   -"]);
    }

    #[test]
    fn a_row_that_comes_later_keeps_to_the_columns() {
        let table = Table::fitting(&[row(&["NAME", "PHASE"]), row(&["ada", "Ready"])]);
        assert_eq!(table.line(&row(&["al", "Suspended"])), "al     Suspended");
        assert_eq!(table.line(&row(&["longer", "Ready"])), "longer   Ready");
    }

    #[test]
    fn nothing_in_a_cell_plays_with_the_terminal() {
        assert_eq!(lines(&[row(&["a\u{1b}[2J\nb", "c"])]), ["a [2J b   c"]);
    }
}
