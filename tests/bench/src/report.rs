//! The table, for people and as JSON, and the comparison with an earlier one.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::case::{Better, Case};

/// A must counts as met within this.
const TOLERANCE: f64 = 0.05;

/// One run of a case.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub figure: f64,
    pub ratio: f64,
    pub sync_us: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub title: String,
    /// In the unit of the title; the median, like the ratio.
    pub figure: f64,
    pub ratio: f64,
    pub ratio_min: f64,
    pub ratio_max: f64,
    pub must: f64,
    pub aim: f64,
    pub met: bool,
    /// What a page written and synced cost around the runs; the median.
    pub sync_us: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub version: String,
    pub file_system: String,
    pub commit_us: f64,
    pub echo_per_s: f64,
    pub runs: usize,
    pub cases: BTreeMap<String, Row>,
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Row {
    pub fn new(case: &Case, runs: &[Run]) -> Self {
        let all = |of: fn(&Run) -> f64| runs.iter().map(of).collect::<Vec<f64>>();
        let (mut figures, mut ratios) = (all(|run| run.figure), all(|run| run.ratio));
        let (figure, ratio) = (median(&mut figures), median(&mut ratios));
        let met = match case.better {
            Better::Higher => ratio >= case.must * (1.0 - TOLERANCE),
            Better::Lower => ratio <= case.must * (1.0 + TOLERANCE),
        };
        Self {
            title: case.title.into(),
            figure,
            ratio,
            ratio_min: ratios[0],
            ratio_max: ratios[ratios.len() - 1],
            must: case.must,
            aim: case.aim,
            met,
            sync_us: median(&mut all(|run| run.sync_us)),
        }
    }
}

pub fn table(report: &Report, before: Option<&Report>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    let mut head = vec!["case", "figure", "ratio", "min", "max", "must", "aim", "sync us", ""];
    if before.is_some() {
        head.push("before");
    }
    table.set_header(head);
    for (key, row) in &report.cases {
        let number = |value: f64| Cell::new(digits(value)).set_alignment(CellAlignment::Right);
        let mut cells = vec![Cell::new(format!("{key}\n  {}", row.title))];
        let numbers =
            [row.figure, row.ratio, row.ratio_min, row.ratio_max, row.must, row.aim, row.sync_us];
        cells.extend(numbers.map(number));
        cells.push(Cell::new(if row.met { "met" } else { "NOT MET" }));
        if let Some(before) = before {
            let earlier = before.cases.get(key).map_or(String::new(), |row| digits(row.ratio));
            cells.push(Cell::new(earlier).set_alignment(CellAlignment::Right));
        }
        table.add_row(cells);
    }
    table.to_string()
}

pub fn digits(value: f64) -> String {
    match value {
        value if value >= 1000.0 => format!("{value:.0}"),
        value if value >= 100.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
