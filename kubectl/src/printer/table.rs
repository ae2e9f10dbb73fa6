//! Tables with fixed column widths.

use unicode_width::UnicodeWidthStr;

use crate::status::one_line;

/// Spaces between columns, and the least width of a column with them, like in kubectl.
const GAP: usize = 3;
const LEAST: usize = 6;
/// Content of an empty cell.
const EMPTY: &str = "-";

/// Column widths of a table.
#[derive(Debug)]
pub struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// A table with column widths for these rows.
    pub fn fitting(rows: &[Vec<String>]) -> Self {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| clean(cell).width()).max();
        Self { widths: (0..columns).map(|column| width(column).unwrap_or(0)).collect() }
    }

    /// One row without trailing spaces. Control characters are removed from the cells.
    pub fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let cell = clean(cell);
            let width = (self.widths.get(index).copied().unwrap_or(0) + GAP).max(LEAST);
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()).max(GAP)));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The lines of all rows.
pub fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let table = Table::fitting(rows);
    rows.iter().map(|row| table.line(row)).collect()
}

fn clean(cell: &str) -> String {
    let cell = one_line(cell);
    if cell.is_empty() { EMPTY.to_owned() } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn column_has_the_width_of_its_widest_cell() {
        let rows = [row(&["NAME", "PHASE"]), row(&["ada", "Ready"]), row(&["björn-日本", ""])];
        assert_eq!(lines(&rows), ["NAME         PHASE", "ada          Ready", "björn-日本   -"]);
    }

    #[test]
    fn later_row_uses_the_column_widths() {
        let table = Table::fitting(&[row(&["NAME", "PHASE"]), row(&["ada", "Ready"])]);
        assert_eq!(table.line(&row(&["al", "Suspended"])), "al     Suspended");
        assert_eq!(table.line(&row(&["longer", "Ready"])), "longer   Ready");
    }

    #[test]
    fn control_characters_are_removed_from_cells() {
        assert_eq!(lines(&[row(&["a\u{1b}[2J\nb", "c"])]), ["a [2J b   c"]);
    }
}
