//! A part of the hub's tasks: what is on the screen and a little around it.
//!
//! However many tasks there are, only some hundreds are here. `rows` are all tasks of the filter
//! with ids above `from` and up to `to`, as they were when they were last read. Each answer is laid
//! over them; an answer about another place takes their place.

use std::time::{Duration, Instant};

use dhub_proto::wire::{List, Listed, State, TaskInfo};

use super::filter::Filter;
use super::pager::Scroll;
use super::sort::Sort;

/// Tasks that are sorted: the first of the filter.
pub const SORTED_MAX: u32 = 1_000;
/// Rows kept, of which a screen shows a part.
const ROWS_MAX: usize = 1_000;
const PAGE_MIN: usize = 60;
const PAGE_MAX: usize = 400;

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// After the task with this id; 0: from the start.
    After(u64),
    /// Before the task with this id; `END`: the last ones.
    Before(u64),
}

const START: Place = Place::After(0);
const END: Place = Place::Before(u64::MAX);

/// A question for a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub filter: Filter,
    pub sort: Sort,
    pub place: Place,
    pub limit: u32,
}

impl Query {
    pub fn list(&self) -> List {
        let (after, before) = match self.place {
            Place::After(id) => (id, 0),
            Place::Before(id) => (0, id),
        };
        List { selection: Some(self.filter.selection()), limit: self.limit, after, before }
    }
}

pub struct Window {
    filter: Filter,
    sort: Sort,
    rows: Vec<TaskInfo>,
    from: u64,
    to: u64,
    /// Of the row that was chosen; None: the first one, whichever that is.
    chosen: Option<u64>,
    cursor: usize,
    /// The first row on the screen.
    top: usize,
    height: usize,
    /// Where somebody wants to go, until it is there.
    jump: Option<Place>,
    read_at: Option<Instant>,
    /// Of a sorted window: there are more that were not looked at.
    cut: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            sort: Sort::default(),
            rows: Vec::new(),
            from: 0,
            to: 0,
            chosen: None,
            cursor: 0,
            top: 0,
            height: 20,
            jump: Some(START),
            read_at: None,
            cut: false,
        }
    }
}

impl Window {
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// Other tasks, from their start.
    pub fn choose(&mut self, filter: Filter, sort: Sort) {
        // Until the answer is there, the old rows stay where they are just other in order.
        let rows = if filter == self.filter { std::mem::take(&mut self.rows) } else { Vec::new() };
        *self = Self { filter, sort, rows, height: self.height, ..Self::default() };
        self.sort.sort(&mut self.rows);
    }

    /// What has to be known at once: where somebody wants to go, or what comes next while scrolling.
    pub fn urgent(&self) -> Option<Query> {
        if let Some(place) = self.jump {
            return Some(self.query(place));
        }
        if self.sort.is_local() {
            return None;
        }
        let below = self.rows.len().saturating_sub(self.top + self.height);
        if self.to != u64::MAX && below < self.height {
            return Some(self.query(Place::After(self.to)));
        }
        if self.from != 0 && self.top < self.height {
            return Some(self.query(Place::Before(self.from.saturating_add(1))));
        }
        None
    }

    /// What is on the screen, once more.
    pub fn refresh(&self) -> Query {
        if self.sort.is_local() {
            return self.query(START);
        }
        let margin = (self.page() - self.height.min(self.page())) / 2;
        let after = match self.top.checked_sub(margin + 1) {
            Some(row) => self.rows.get(row).map_or(self.from, |task| task.id),
            None => self.from,
        };
        self.query(Place::After(after))
    }

    fn query(&self, place: Place) -> Query {
        let limit = if self.sort.is_local() { SORTED_MAX } else { self.page() as u32 };
        Query { filter: self.filter.clone(), sort: self.sort, place, limit }
    }

    fn page(&self) -> usize {
        (3 * self.height).clamp(PAGE_MIN, PAGE_MAX)
    }

    /// Is that still what is wanted?
    pub fn asks_for(&self, query: &Query) -> bool {
        query.filter == self.filter && query.sort == self.sort
    }

    pub fn heard(&mut self, query: &Query, listed: Listed, now: Instant) {
        if !self.asks_for(query) {
            return;
        }
        self.read_at = Some(now);
        if self.sort.is_local() {
            self.rows = listed.tasks;
            self.sort.sort(&mut self.rows);
            self.cut = listed.next != 0;
            self.jump = None;
            self.settle();
            return;
        }
        let (from, to) = match query.place {
            Place::After(id) if listed.next == 0 => (id, u64::MAX),
            Place::After(id) => (id, listed.tasks.last().map_or(id, |task| task.id)),
            place @ Place::Before(id) => {
                let from = match (listed.next, listed.tasks.first()) {
                    (0, _) | (_, None) => 0,
                    (_, Some(task)) => task.id - 1,
                };
                (from, if place == END { id } else { id - 1 })
            }
        };
        let arrived = self.jump == Some(query.place);
        let apart = from > self.to || to < self.from;
        if self.jump.is_some() && !arrived {
            // What was asked for before somebody wanted to go elsewhere.
        } else if arrived || apart {
            (self.rows, self.from, self.to) = (listed.tasks, from, to);
        } else {
            self.lay(listed.tasks, from, to);
        }
        if arrived {
            self.jump = None;
            if query.place == END {
                self.cursor = self.rows.len().saturating_sub(1);
                self.top = 0;
                self.chosen = self.rows.last().map(|task| task.id);
            }
        }
        self.settle();
    }

    /// Replaces what lies between.
    fn lay(&mut self, tasks: Vec<TaskInfo>, from: u64, to: u64) {
        let begin = self.rows.partition_point(|task| task.id <= from);
        let end = self.rows.partition_point(|task| task.id <= to).max(begin);
        // The answer says that there is more after it.
        self.to = if end == self.rows.len() { to } else { self.to };
        self.from = self.from.min(from);
        self.rows.splice(begin..end, tasks);
    }

    /// Finds the chosen row, which may have moved or be gone, and keeps it in its line.
    fn settle(&mut self) {
        let line = self.cursor.saturating_sub(self.top);
        let place = match self.chosen {
            None => 0,
            Some(id) if self.sort.is_local() => {
                self.rows.iter().position(|task| task.id == id).unwrap_or(self.cursor)
            }
            Some(id) => self.rows.partition_point(|task| task.id < id),
        };
        self.cursor = place.min(self.rows.len().saturating_sub(1));
        self.top = self.cursor.saturating_sub(line);
        self.trim();
        self.fit(self.height);
    }

    /// Forgets what is far from the screen.
    fn trim(&mut self) {
        if self.sort.is_local() || self.rows.len() <= ROWS_MAX.max(4 * self.height) {
            return;
        }
        let room = ROWS_MAX / 4 + self.height;
        let end = self.top + room;
        if end < self.rows.len() {
            self.rows.truncate(end);
            self.to = self.rows.last().map_or(self.to, |task| task.id);
        }
        let begin = self.top.saturating_sub(room);
        if begin > 0 {
            self.from = self.rows[begin - 1].id;
            self.rows.drain(..begin);
            self.top -= begin;
            self.cursor -= begin;
        }
    }

    /// On a screen of so many rows.
    pub fn fit(&mut self, height: usize) {
        self.height = height.max(1);
        let last_top = self.rows.len().saturating_sub(self.height);
        let least = (self.cursor + 1).saturating_sub(self.height);
        self.top = self.top.clamp(least, self.cursor).min(last_top);
    }

    pub fn scroll(&mut self, scroll: Scroll) {
        match scroll {
            Scroll::Start if !self.sort.is_local() && self.from != 0 => {
                self.chosen = None;
                self.jump = Some(START);
                return;
            }
            Scroll::End if !self.sort.is_local() && self.to != u64::MAX => {
                self.jump = Some(END);
                return;
            }
            _ => {}
        }
        let last = self.rows.len().saturating_sub(1);
        let before = self.cursor;
        self.cursor = scroll.from(self.cursor, self.height).min(last);
        if matches!(scroll, Scroll::PageUp | Scroll::PageDown) {
            // The chosen row stays in its line.
            self.top = (self.top + self.cursor).saturating_sub(before);
        }
        let first = self.cursor == 0 && (self.from == 0 || self.sort.is_local());
        self.chosen = if first { None } else { self.rows.get(self.cursor).map(|task| task.id) };
        self.fit(self.height);
    }

    /// The rows on the screen.
    pub fn visible(&self) -> &[TaskInfo] {
        let end = self.rows.len().min(self.top + self.height);
        &self.rows[self.top.min(end)..end]
    }

    /// The line of the chosen row.
    pub fn line(&self) -> usize {
        self.cursor - self.top
    }

    pub fn task(&self) -> Option<&TaskInfo> {
        self.rows.get(self.cursor)
    }

    /// Was anything read since the filter was chosen?
    pub fn is_read(&self) -> bool {
        self.read_at.is_some()
    }

    /// How many tasks match, if all of them are here.
    pub fn count(&self) -> Option<usize> {
        let all = match self.sort.is_local() {
            true => !self.cut,
            false => (self.from, self.to) == (0, u64::MAX),
        };
        (all && self.is_read()).then_some(self.rows.len())
    }

    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Those that run have run on since they were read.
    pub fn run_time(&self, task: &TaskInfo, now: Instant) -> Duration {
        let read = Duration::from_millis(task.run_ms);
        match (task.state(), self.read_at) {
            (State::Running, Some(at)) => read + now.saturating_duration_since(at),
            _ => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tasks of the hub, of which some match.
    struct Hub {
        ids: Vec<u64>,
    }

    impl Hub {
        fn answer(&self, query: &Query) -> Listed {
            let List { after, before, limit, .. } = query.list();
            let limit = limit as usize;
            let task = |&id: &u64| TaskInfo { id, ..TaskInfo::default() };
            let on_page = |id: &&u64| **id > after && (before == 0 || **id < before);
            let mut tasks: Vec<TaskInfo> = match before {
                0 => self.ids.iter().filter(on_page).take(limit).map(task).collect(),
                _ => self.ids.iter().rev().filter(on_page).take(limit).map(task).collect(),
            };
            let next = match tasks.last() {
                Some(last) if tasks.len() == limit => last.id,
                _ => 0,
            };
            if before > 0 {
                tasks.reverse();
            }
            Listed { tasks, next, ..Listed::default() }
        }

        /// Until nothing is urgent. Fails if that is never so.
        fn serve(&self, window: &mut Window) {
            for _ in 0..50 {
                let Some(query) = window.urgent() else { return };
                window.heard(&query, self.answer(&query), Instant::now());
            }
            panic!("{:?} is asked for without end", window.urgent());
        }

        fn refresh(&self, window: &mut Window) {
            let query = window.refresh();
            window.heard(&query, self.answer(&query), Instant::now());
            self.serve(window);
        }
    }

    fn visible(window: &Window) -> Vec<u64> {
        window.visible().iter().map(|task| task.id).collect()
    }

    fn window(height: usize) -> Window {
        let mut window = Window::default();
        window.fit(height);
        window
    }

    #[test]
    fn a_million_tasks_are_a_few_hundred_rows() {
        let hub = Hub { ids: (1..=1_000_000).collect() };
        let mut window = window(14);
        hub.serve(&mut window);
        assert_eq!(visible(&window), (1..=14).collect::<Vec<_>>());
        window.scroll(Scroll::End);
        hub.serve(&mut window);
        assert_eq!(visible(&window), (999_987..=1_000_000).collect::<Vec<_>>());
        assert_eq!(window.line(), 13);
        for _ in 0..100 {
            window.scroll(Scroll::PageUp);
            hub.serve(&mut window);
        }
        assert_eq!(window.task().map(|task| task.id), Some(1_000_000 - 1_300));
        for _ in 0..300 {
            window.scroll(Scroll::Up);
            hub.serve(&mut window);
        }
        assert_eq!(window.task().map(|task| task.id), Some(1_000_000 - 1_600));
        assert!(window.rows.len() <= ROWS_MAX, "{} rows are kept", window.rows.len());
        window.scroll(Scroll::Start);
        hub.serve(&mut window);
        assert_eq!((visible(&window)[0], window.line()), (1, 0));
    }

    #[test]
    fn what_is_shown_is_what_the_hub_has_wherever_people_scroll() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut next = 1;
            let mut add = |random: &mut fastrand::Rng| {
                next += random.u64(1..50);
                next
            };
            let mut hub = Hub { ids: Vec::new() };
            for _ in 0..random.usize(0..3_000) {
                hub.ids.push(add(&mut random));
            }
            let mut window = window(random.usize(1..60));
            hub.serve(&mut window);
            for step in 0..60 {
                let scroll = match random.u8(0..16) {
                    0 => Scroll::Start,
                    1 => Scroll::End,
                    2..7 => Scroll::PageDown,
                    7..11 => Scroll::PageUp,
                    11..14 => Scroll::Down,
                    _ => Scroll::Up,
                };
                window.scroll(scroll);
                hub.serve(&mut window);
                match random.u8(0..10) {
                    // Some do not match any more, and new ones do.
                    0 => hub.ids.retain(|_| random.u8(0..4) > 0),
                    1 => (0..random.usize(1..200)).for_each(|_| hub.ids.push(add(&mut random))),
                    2 => window.fit(random.usize(1..60)),
                    _ => {}
                }
                // When many are gone at once, rows come on the screen that the first look missed.
                hub.refresh(&mut window);
                hub.refresh(&mut window);
                let seen = visible(&window);
                let begin = seen.first().map_or(0, |first| {
                    hub.ids.iter().position(|id| id == first).unwrap_or(usize::MAX)
                });
                let end = (begin.saturating_add(window.height)).min(hub.ids.len());
                let there = hub.ids.get(begin..end);
                assert_eq!(Some(&*seen), there, "seed {seed}, step {step}, {scroll:?}");
                assert!(seen.is_empty() || window.line() < seen.len());
            }
        }
    }

    #[test]
    fn a_row_that_is_gone_gives_its_line_to_the_next() {
        let mut hub = Hub { ids: (1..=20).collect() };
        let mut window = window(5);
        hub.serve(&mut window);
        (0..7).for_each(|_| window.scroll(Scroll::Down));
        assert_eq!((window.task().map(|it| it.id), window.line()), (Some(8), 4));
        hub.ids.retain(|id| ![2, 3, 8].contains(id));
        hub.refresh(&mut window);
        assert_eq!((window.task().map(|it| it.id), window.line()), (Some(9), 4));
        hub.ids.clear();
        assert_eq!(window.count(), Some(17));
        hub.refresh(&mut window);
        assert!(window.task().is_none() && visible(&window).is_empty());
        assert_eq!(window.count(), Some(0));
    }

    #[test]
    fn answers_to_older_questions_change_nothing() {
        let hub = Hub { ids: (1..=100).collect() };
        let mut window = window(5);
        let first = window.urgent().expect("a question");
        let filter = Filter { text: "x".into(), ..Filter::default() };
        window.choose(filter, Sort::default());
        window.heard(&first, hub.answer(&first), Instant::now());
        assert!(visible(&window).is_empty() && !window.is_read());
        // Nor does a page of where somebody was, while it goes elsewhere.
        hub.serve(&mut window);
        let second = window.refresh();
        window.to = 60;
        window.scroll(Scroll::End);
        window.heard(&second, hub.answer(&second), Instant::now());
        assert_eq!(window.urgent().map(|query| query.place), Some(END));
    }

    #[test]
    fn sorted_rows_are_the_first_of_the_filter() {
        let hub = Hub { ids: (1..=5_000).collect() };
        let mut window = window(5);
        let sort = Sort { key: super::super::sort::Key::Time, reversed: false };
        window.choose(Filter::default(), sort);
        hub.serve(&mut window);
        assert!(window.is_cut() && window.urgent().is_none());
        assert_eq!(window.count(), None);
        window.scroll(Scroll::End);
        assert_eq!(window.task().map(|it| it.id), Some(1_000));
        hub.refresh(&mut window);
        assert_eq!((window.task().map(|it| it.id), window.line()), (Some(1_000), 4));
    }
}
