//! Tables: columns two spaces apart, no lines, one line a row.

use anstyle::{AnsiColor, Color as AnsiStyleColor, Style};
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table,
};
use dhub_proto::wire::{State, TaskInfo};

use super::words::{fate, plain, state, state_style};

/// Narrower than this is no screen that a table fits on.
const WIDTH_MIN: u16 = 40;

/// An empty table.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_truncation_indicator("…");
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.enforce_styling().style_text_only();
    if !header.is_empty() {
        table
            .set_header(header.iter().map(|&title| Cell::new(title).add_attribute(Attribute::Dim)));
    }
    table
}

pub fn row(cells: impl IntoIterator<Item = Cell>) -> Row {
    let mut row = Row::from(cells.into_iter().collect::<Vec<_>>());
    row.max_height(1);
    row
}

pub fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

pub fn name_cell(name: &str) -> Cell {
    Cell::new(plain(name))
}

pub fn state_cell(of: State) -> Cell {
    styled(state(of), state_style(of))
}

pub fn styled(text: impl ToString, style: Style) -> Cell {
    let cell = Cell::new(text);
    match style.get_fg_color() {
        Some(AnsiStyleColor::Ansi(AnsiColor::Green)) => cell.fg(Color::DarkGreen),
        Some(AnsiStyleColor::Ansi(AnsiColor::Red)) => cell.fg(Color::DarkRed),
        Some(AnsiStyleColor::Ansi(AnsiColor::Cyan)) => cell.fg(Color::DarkCyan),
        Some(AnsiStyleColor::Ansi(AnsiColor::Yellow)) => cell.fg(Color::DarkYellow),
        _ => cell,
    }
}

/// The table's text, every line behind the indent, without spaces at the ends. On a terminal, what
/// is too wide is cut in the `elastic` columns.
pub fn text(table: &mut Table, indent: &str, elastic: &[usize]) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        if !elastic.contains(&column.index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = table.width().filter(|&width| width >= WIDTH_MIN && table.is_tty()) {
        // The padding of the last column may stick out.
        table.set_width(width + 2 - indent.len() as u16);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(indent);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A page of tasks.
pub fn task_list(tasks: &[TaskInfo], header: bool) -> String {
    let titles: &[&str] = &["TASK", "STATE", "TRIES", "ABOUT", "COMMAND"];
    let mut table = table(if header { titles } else { &[] });
    for task in tasks {
        table.add_row(row([
            name_cell(&task.name),
            state_cell(task.state()),
            right(task.attempt),
            Cell::new(fate(task)),
            name_cell(&task.command),
        ]));
    }
    text(&mut table, "", &[0, 3, 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_for_each_task() {
        let task = |name: &str, state: State| TaskInfo {
            name: name.into(),
            state: state as i32,
            ..TaskInfo::default()
        };
        let failed = TaskInfo {
            attempt: 2,
            failures: 2,
            exit_code: 1,
            worker: "node12".into(),
            command: "./sim 1\n".into(),
            ..task("sim-1", State::Failed)
        };
        let text = task_list(&[failed, task("merge", State::Waiting)], true);
        let text = anstream::adapter::strip_str(&text).to_string();
        let expected = "\
TASK   STATE    TRIES  ABOUT                         COMMAND
sim-1  failed       2  exit 1 on node12, 2 failures  ./sim 1\\n
merge  waiting      0
";
        assert_eq!(text, expected);
    }
}
