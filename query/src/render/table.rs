//! Tables: columns two spaces apart, no lines, one line a row.
//!
//! On a terminal a table is never wider than the screen: names lose their middle, texts their end,
//! and if that is not enough the columns that matter least are left out. Elsewhere it is complete.

use std::borrow::Cow;

use anstyle::Style;
use dhub_proto::wire::State;

use super::cut;
use super::words::{FAINT, paint, plain, state, state_style};

const GAP: usize = 2;
/// A text that is cut keeps this much.
const CELLS_MIN: usize = 8;

/// What becomes of a column where the screen is too narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Never cut.
    Whole,
    Middle,
    End,
}

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub fit: Fit,
    /// Columns with a larger number are left out first; 0: it stays.
    pub dispensable: u8,
}

impl Column {
    pub const fn new(title: &'static str, fit: Fit) -> Self {
        Self { title, fit, dispensable: 0 }
    }

    pub const fn dispensable(self, dispensable: u8) -> Self {
        Self { dispensable, ..self }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

pub fn right(text: impl ToString) -> Cell {
    Cell { right: true, ..Cell::new(text.to_string()) }
}

pub fn name_cell(name: &str) -> Cell {
    Cell::new(plain(name))
}

pub fn state_cell(of: State) -> Cell {
    Cell::new(state(of)).style(state_style(of))
}

/// Rows that are printed together, or page by page below one header.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// The widest text of each column so far, so that pages stay aligned.
    widths: Vec<usize>,
    header: bool,
}

impl Table {
    pub fn new(columns: &[Column]) -> Self {
        let widths = columns.iter().map(|column| cut::width(column.title)).collect();
        Self { columns: columns.to_vec(), rows: Vec::new(), widths, header: true }
    }

    pub fn without_header(columns: &[Column]) -> Self {
        Self { header: false, widths: vec![0; columns.len()], ..Self::new(columns) }
    }

    /// As many cells as there are columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<_> = cells.into_iter().collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cut::width(&cell.text));
        }
        self.rows.push(cells);
    }

    /// The rows since the last page, each line behind the indent, in a room of so many cells. The
    /// header is above the first page only.
    pub fn page(&mut self, indent: &str, room: Option<usize>) -> String {
        let widths = match room {
            Some(room) => self.fit(room.saturating_sub(indent.len())),
            None => self.widths.iter().copied().map(Some).collect(),
        };
        let mut text = String::new();
        let mut print = |cells: &[Cell]| {
            let line = self.line(indent, cells, &widths);
            text.push_str(&room.map_or(Cow::Borrowed(&*line), |room| cut::line(&line, room)));
            text.push('\n');
        };
        if self.header && !self.rows.is_empty() {
            // Above its numbers a title is on the right, too.
            let title = |(index, column): (usize, &Column)| Cell {
                text: column.title.into(),
                style: FAINT,
                right: self.rows.iter().any(|row| row[index].right),
            };
            print(&self.columns.iter().enumerate().map(title).collect::<Vec<_>>());
        }
        for row in &self.rows {
            print(row);
        }
        self.header &= self.rows.is_empty();
        self.rows.clear();
        text
    }

    /// How wide each column is; None: it is left out.
    fn fit(&self, room: usize) -> Vec<Option<usize>> {
        let mut widths: Vec<Option<usize>> = self.widths.iter().copied().map(Some).collect();
        loop {
            let kept: Vec<usize> = (0..widths.len()).filter(|&at| widths[at].is_some()).collect();
            let gaps = GAP * kept.len().saturating_sub(1);
            // As much for the texts as the room allows, the same for each that is cut.
            let fitting = (CELLS_MIN..=room).rev().find_map(|most| {
                let fitting: Vec<usize> = kept.iter().map(|&at| self.at_most(at, most)).collect();
                (fitting.iter().sum::<usize>() + gaps <= room).then_some(fitting)
            });
            if let Some(fitting) = fitting {
                for (at, width) in kept.into_iter().zip(fitting) {
                    widths[at] = Some(width);
                }
                return widths;
            }
            let least = kept.iter().copied().max_by_key(|&at| self.columns[at].dispensable);
            match least.filter(|&at| self.columns[at].dispensable > 0) {
                Some(at) => widths[at] = None,
                // The lines are cut.
                None => {
                    for at in kept {
                        widths[at] = Some(self.at_most(at, CELLS_MIN));
                    }
                    return widths;
                }
            }
        }
    }

    /// The width of a column if texts may have so many cells.
    fn at_most(&self, at: usize, cells: usize) -> usize {
        match self.columns[at].fit {
            Fit::Whole => self.widths[at],
            Fit::Middle | Fit::End => self.widths[at].min(cells),
        }
    }

    fn line(&self, indent: &str, cells: &[Cell], widths: &[Option<usize>]) -> String {
        let mut line = indent.to_owned();
        let mut blanks = 0;
        for ((cell, column), width) in cells.iter().zip(&self.columns).zip(widths) {
            let Some(width) = *width else { continue };
            let text = match column.fit {
                Fit::Whole => Cow::Borrowed(&*cell.text),
                Fit::Middle => cut::middle(&cell.text, width),
                Fit::End => cut::end(&cell.text, width),
            };
            let pad = width.saturating_sub(cut::width(&text));
            if !text.is_empty() {
                // Blanks at the end of a line are never written.
                line.extend(std::iter::repeat_n(' ', blanks + if cell.right { pad } else { 0 }));
                blanks = 0;
                match cell.style == Style::new() {
                    true => line.push_str(&text),
                    false => line.push_str(&paint(cell.style, &text)),
                }
                blanks += if cell.right { 0 } else { pad };
            } else {
                blanks += pad;
            }
            blanks += GAP;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("TASK", Fit::Middle),
        Column::new("TRIES", Fit::Whole),
        Column::new("HOST", Fit::Middle).dispensable(1),
        Column::new("ABOUT", Fit::End),
    ];

    fn table() -> Table {
        let mut table = Table::new(&COLUMNS);
        table.row([
            name_cell("simulation-of-everything-0031"),
            right(2),
            name_cell("node12"),
            Cell::new("exit 137 (killed; out of memory?)"),
        ]);
        table.row([name_cell("x"), right(11), Cell::new(""), Cell::new("")]);
        table
    }

    fn text(room: Option<usize>) -> String {
        anstream::adapter::strip_str(&table().page("", room)).to_string()
    }

    #[test]
    fn without_a_terminal_everything_is_there() {
        let expected = "\
TASK                           TRIES  HOST    ABOUT
simulation-of-everything-0031      2  node12  exit 137 (killed; out of memory?)
x                                 11
";
        assert_eq!(text(None), expected);
        assert_eq!(text(Some(200)), expected);
    }

    #[test]
    fn names_lose_their_middle_and_texts_their_end() {
        let expected = "\
TASK               TRIES  HOST    ABOUT
simulati…ing-0031      2  node12  exit 137 (killed…
x                     11
";
        assert_eq!(text(Some(52)), expected);
    }

    #[test]
    fn what_matters_least_is_left_out_where_it_is_narrow() {
        let expected = "\
TASK         TRIES  ABOUT
simul…-0031      2  exit 137 (…
x               11
";
        assert_eq!(text(Some(31)), expected);
        for room in 1..90 {
            for line in text(Some(room)).lines() {
                assert!(cut::width(line) <= room, "{room}: {line}");
            }
        }
    }

    #[test]
    fn pages_stay_aligned_below_one_header() {
        let mut table = table();
        let first = table.page("", None);
        table.row([name_cell("y"), right(1), name_cell("z"), Cell::new("")]);
        let second = table.page("", None);
        assert!(first.contains("TASK") && !second.contains("TASK"));
        assert_eq!(second, "y                                  1  z\n");
        assert_eq!(table.page("", None), "", "no rows, no lines");
    }
}
