//! How much room there is for what is shown.

/// None: as much as it takes, as in a file or a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub columns: Option<usize>,
    pub lines: Option<usize>,
}

/// Narrower than this is no screen that anything fits on, but a terminal that does not tell.
const COLUMNS_MIN: u16 = 10;

impl Room {
    /// The screen behind standard output. A long text scrolls there, so only its width counts.
    pub fn of_stdout() -> Self {
        let size = console::Term::stdout().size_checked();
        let columns = size.map(|(_, columns)| columns).filter(|&columns| columns >= COLUMNS_MIN);
        Self { columns: columns.map(usize::from), lines: None }
    }

    /// For a text that is repainted in place.
    pub fn of_screen() -> Self {
        let size = console::Term::stdout().size_checked();
        let (lines, columns) = size.filter(|&(lines, columns)| lines > 0 && columns > 0).unzip();
        Self { columns: columns.map(usize::from), lines: lines.map(usize::from) }
    }
}
