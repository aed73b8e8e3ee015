//! `list`: tasks in the order in which they were added, or sorted, page by page.

use std::str::FromStr;

use clap::ValueEnum;
use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Selection, TaskInfo};
use jiff::tz::TimeZone;

use crate::failure::{Failure, say};
use crate::filter::Filter;
use crate::hub::{Hub, PAGE_TASKS, ask};
use crate::output::Output;
use crate::pager::Pager;
use crate::render::json;
use crate::render::room::Room;
use crate::render::tasks::{self, Key, Tasks};
use crate::render::words::{number, plain};

#[derive(clap::Args, Debug)]
pub struct List {
    #[command(flatten)]
    look: Look,

    #[command(flatten)]
    filter: Filter,
}

/// Which of the tasks that match are shown, and how.
#[derive(clap::Args, Debug)]
struct Look {
    /// How many tasks at most
    #[arg(short = 'n', long = "limit", value_name = "LIMIT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// All of them
    #[arg(short, long, conflicts_with = "limit")]
    all: bool,

    /// Sort by this column, -COLUMN for descending; looks at all that match, and shows the first
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<Sort>,

    /// Descending, or in the reverse of the order in which they were added
    #[arg(short, long)]
    reverse: bool,

    /// What to show of each: name,state,worker,… (--columns help names them all)
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        value_name = "COLUMN",
        value_delimiter = ',',
        hide_possible_values = true,
        conflicts_with = "json"
    )]
    columns: Vec<Key>,

    /// Print straight to the terminal, not through $DHUB_PAGER, $PAGER or less
    #[arg(long)]
    no_pager: bool,
}

/// -COLUMN is descending.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sort {
    key: Key,
    descending: bool,
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let key = Key::from_str(name, true).map_err(|_| {
            let names = Key::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let names: Vec<_> = names.map(|it| it.get_name().to_owned()).collect();
            format!("it is none of {}", names.join(", "))
        })?;
        Ok(Self { key, descending })
    }
}

pub fn run(args: List, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let mut view = View::new(&args.look, out);
    let selection = args.filter.selection();
    let looked = match selection.names.is_empty() || !selection.patterns.is_empty() {
        true => pages(&selection, hub, &mut view),
        false => named(&selection, hub, &mut view),
    };
    let mut unknown = looked?;
    let cut = view.end()?;
    unknown.extend(hub.unknown_names(&selection)?);
    for name in &unknown {
        say(&format!("there is no task '{}'", plain(name)));
    }
    if cut {
        let limit = number(args.look.limit.into());
        say(&format!("the first {limit} only; more with -n LIMIT or --all"));
    }
    Ok(if unknown.is_empty() { Exit::Ok } else { Exit::Refused })
}

fn pages(selection: &Selection, hub: &mut Hub, view: &mut View) -> Result<Vec<String>, Failure> {
    // The hub goes back itself, so that the last few of a million are told at once.
    view.from_end = view.reverse && view.order.is_none();
    let (mut after, mut before) = (0, if view.from_end { u64::MAX } else { 0 });
    loop {
        let limit = view.wants(PAGE_TASKS);
        let list = wire::List { selection: Some(selection.clone()), limit, after, before };
        let mut page = ask!(hub, List(list) => Listed);
        if view.from_end {
            page.tasks.reverse();
        }
        view.add(page.tasks)?;
        if page.next == 0 || view.is_full() {
            view.more |= page.next > 0;
            return Ok(Vec::new());
        }
        *(if view.from_end { &mut before } else { &mut after }) = page.next;
    }
}

fn named(selection: &Selection, hub: &mut Hub, view: &mut View) -> Result<Vec<String>, Failure> {
    view.limit = usize::MAX;
    let mut unknown = Vec::new();
    for names in selection.names.chunks(PAGE_TASKS as usize) {
        let names = names.to_vec();
        hub.list(Selection { names, ..selection.clone() }, |page| {
            unknown.extend(page.unknown);
            view.add(page.tasks)
        })?;
    }
    Ok(unknown)
}

/// Takes tasks in and prints them, at once or, sorted, at the end.
struct View {
    out: Output,
    table: Tasks,
    order: Option<Sort>,
    reverse: bool,
    /// They come in the reverse order already.
    from_end: bool,
    /// How many are still to be printed.
    limit: usize,
    /// Those that may be among the first, where the order is not that of the hub.
    kept: Vec<TaskInfo>,
    /// Some were left out.
    more: bool,
    /// Started with the first page.
    pager: Option<Pager>,
    paged: bool,
}

impl View {
    fn new(look: &Look, out: Output) -> Self {
        let keys = if look.columns.is_empty() { &tasks::DEFAULT[..] } else { &look.columns };
        Self {
            out,
            table: Tasks::new(keys, TimeZone::system()),
            order: look.sort,
            reverse: look.reverse,
            from_end: false,
            limit: if look.all { usize::MAX } else { look.limit as usize },
            kept: Vec::new(),
            more: false,
            pager: None,
            paged: !look.no_pager && !out.json,
        }
    }

    fn sorts(&self) -> bool {
        self.order.is_some() || (self.reverse && !self.from_end)
    }

    /// How many to ask for; all that match have to be looked at where they are sorted.
    fn wants(&self, page: u32) -> u32 {
        if self.sorts() { page } else { u32::try_from(self.limit).unwrap_or(page).min(page) }
    }

    fn is_full(&self) -> bool {
        !self.sorts() && self.limit == 0
    }

    fn add(&mut self, tasks: Vec<TaskInfo>) -> Result<(), Failure> {
        if !self.sorts() {
            self.limit = self.limit.saturating_sub(tasks.len());
            return self.print(&tasks);
        }
        self.kept.extend(tasks);
        // Those that come after so many others are not among the first.
        if self.kept.len() / 2 > self.limit.max(PAGE_TASKS as usize) {
            self.settle();
        }
        Ok(())
    }

    /// In order, and no more than are wanted.
    fn settle(&mut self) {
        match self.order {
            // Equal ones stay in the order in which they were added.
            Some(Sort { key, descending }) => self.kept.sort_by(|a, b| {
                let order = key.compare(a, b);
                if descending != self.reverse { order.reverse() } else { order }
            }),
            // The last ones that were added.
            None => {
                let surplus = self.kept.len().saturating_sub(self.limit);
                self.more |= surplus > 0;
                self.kept.drain(..surplus);
            }
        }
        self.more |= self.kept.len() > self.limit;
        self.kept.truncate(self.limit);
    }

    /// Whether there are more than were asked for.
    fn end(mut self) -> Result<bool, Failure> {
        if self.sorts() {
            self.settle();
            let mut kept = std::mem::take(&mut self.kept);
            if self.order.is_none() {
                kept.reverse();
            }
            for page in kept.chunks(PAGE_TASKS as usize) {
                self.print(page)?;
            }
        }
        if let Some(pager) = self.pager {
            pager.end();
        }
        Ok(self.more)
    }

    fn print(&mut self, tasks: &[TaskInfo]) -> Result<(), Failure> {
        if tasks.is_empty() {
            return Ok(());
        }
        if self.out.json {
            return self.out.documents(tasks.iter().map(json::task));
        }
        let text = self.table.page(tasks, Room::of_stdout().columns);
        if std::mem::take(&mut self.paged) {
            self.pager = Pager::start();
        }
        match &mut self.pager {
            Some(pager) => Ok(pager.print(&self.out.painted(&text))?),
            None => self.out.text(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, run_ms: u64) -> TaskInfo {
        TaskInfo { name: name.into(), run_ms, ..TaskInfo::default() }
    }

    fn sorted(sort: Option<&str>, reverse: bool, limit: usize) -> (Vec<String>, bool) {
        let out = Output { json: true };
        let look = Look {
            limit: 1,
            all: false,
            sort: sort.map(|text| text.parse().unwrap()),
            reverse,
            columns: Vec::new(),
            no_pager: true,
        };
        let mut view = View { limit, ..View::new(&look, out) };
        for n in 0..5_000u64 {
            // Of the same length in pairs.
            let page = vec![task(&format!("t{n}"), (n * 7_919 % 5_000) / 2)];
            view.kept.extend(page);
            view.add(Vec::new()).unwrap();
        }
        view.settle();
        (view.kept.iter().map(|task| task.name.clone()).collect(), view.more)
    }

    #[test]
    fn the_first_by_a_column_are_kept_while_pages_go_by() {
        let all = |sort, reverse| sorted(sort, reverse, usize::MAX).0;
        for (sort, reverse) in [("time", false), ("-time", false), ("time", true)] {
            let whole = all(Some(sort), reverse);
            assert_eq!(whole.len(), 5_000);
            let (few, more) = sorted(Some(sort), reverse, 10);
            assert_eq!((&few[..], more), (&whole[..10], true), "{sort} {reverse}");
        }
        assert_eq!(all(Some("-time"), false), all(Some("time"), true));
        assert_eq!(all(Some("name"), false)[9..12], ["t9", "t10", "t11"]);
        assert_eq!(sorted(Some("name"), true, 2).0, ["t4999", "t4998"]);
    }

    #[test]
    fn the_last_added_are_the_first_in_reverse() {
        let (few, more) = sorted(None, true, 3);
        // Printed from the end.
        assert_eq!((few, more), (vec!["t4997".into(), "t4998".into(), "t4999".into()], true));
        assert!(!sorted(None, true, 5_000).1);
    }

    #[test]
    fn what_to_sort_by_is_named() {
        assert_eq!("-Exit".parse(), Ok(Sort { key: Key::Exit, descending: true }));
        assert!("size".parse::<Sort>().unwrap_err().contains("failures, reclaims"));
    }
}
