//! Tables on standard output.

use comfy_table::{CellAlignment, ColumnConstraint, Table, Width, presets};

/// A table of text. Numbers are aligned to the right; the columns `text` are aligned to the left.
///
/// Rows may be wider than the header: each column is at least `widths` characters wide, so that rows that are printed
/// one at a time line up.
pub struct Columns {
    pub header: Vec<&'static str>,
    pub widths: Vec<u16>,
    pub text: Vec<usize>,
}

impl Columns {
    /// Columns that are as wide as their content.
    pub fn new(header: &[&'static str], text: usize) -> Self {
        Columns { header: header.to_vec(), widths: vec![0; header.len()], text: vec![text] }
    }

    /// The whole table.
    pub fn table(&self, rows: &[Vec<String>]) -> String {
        let mut table = self.start();
        table.set_header(self.header.clone()).add_rows(rows);
        self.finish(table)
    }

    /// The whole table in Markdown.
    pub fn markdown(&self, rows: &[Vec<String>]) -> String {
        let mut table = self.start();
        table.load_style(presets::ASCII_MARKDOWN).set_header(self.header.clone()).add_rows(rows);
        self.finish(table)
    }

    /// One row, or the header.
    pub fn row(&self, cells: &[impl ToString]) -> String {
        let mut table = self.start();
        table.add_row(cells.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.finish(table)
    }

    fn start(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table
    }

    fn finish(&self, mut table: Table) -> String {
        for (index, &width) in self.widths.iter().enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
            if !self.text.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_and_names_left() {
        let columns = Columns::new(&["bytes", "name"], 1);
        let rows = [["7", "größe"], ["12345678", "x"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(columns.table(&rows), "    bytes  name\n        7  größe\n 12345678  x\n");
        assert_eq!(columns.markdown(&rows[..1]), "| bytes | name  |\n|-------|-------|\n|     7 | größe |\n");
    }

    #[test]
    fn single_rows_line_up() {
        let columns = Columns { header: vec!["a", "b"], widths: vec![5, 5], text: vec![0] };
        let rows: Vec<String> = [["a", "1"], ["bcd", "234"]].iter().map(|row| columns.row(row)).collect();
        assert_eq!(rows[0].trim_end().len(), rows[1].trim_end().len());
    }
}
