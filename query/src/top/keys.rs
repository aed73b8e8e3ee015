//! What each key does.

use dhub_proto::wire;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::deed::Deed;
use super::filter::{Filter, STATES};
use super::pager::Scroll;
use super::state::{Mode, State, View};
use dhub_proto::limits::NAME_BYTES_MAX;

impl State {
    pub fn key(&mut self, key: KeyEvent) {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => self.is_over = true,
                KeyCode::Char('z') => self.to_suspend = true,
                KeyCode::Char('u' | 'w') => self.clear_line(),
                _ => {}
            }
            return;
        }
        if key.modifiers.contains(KeyModifiers::ALT) {
            // Esc and a key that came at once.
            self.key(KeyCode::Esc.into());
            return self.key(key.code.into());
        }
        self.hush();
        match std::mem::replace(&mut self.mode, Mode::Look) {
            Mode::Look => self.look(key.code),
            Mode::Filter(text) => self.type_name(text, key.code),
            Mode::State => self.choose_state(key.code),
            Mode::Confirm(deed) => match key.code {
                KeyCode::Char('y' | 'Y') => self.carry_out(deed),
                _ => self.say(format!("nothing was done to '{}'", deed.name()), false),
            },
            Mode::Priority { name, text } => self.type_priority(name, text, key.code),
            Mode::Help => self.read_help(key.code),
        }
    }

    fn look(&mut self, key: KeyCode) {
        if let Some(scroll) = scroll(key) {
            match (&mut self.detail, self.view) {
                (Some(detail), _) => detail.pager.scroll(scroll),
                (None, View::Tasks) => self.window.scroll(scroll),
                (None, View::Workers) => self.workers.scroll(scroll),
            }
            return;
        }
        match key {
            KeyCode::Char('q') => self.is_over = true,
            KeyCode::Char('?') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left if self.detail.is_some() => {
                self.close();
            }
            KeyCode::Esc if !self.window.filter().is_empty() => self.filter(Filter::default()),
            KeyCode::Char('1') => self.turn_to(View::Tasks),
            KeyCode::Char('2') => self.turn_to(View::Workers),
            KeyCode::Tab | KeyCode::BackTab => self.turn_to(match self.view {
                View::Tasks => View::Workers,
                View::Workers => View::Tasks,
            }),
            KeyCode::Char('c') => self.confirm_cancel(),
            KeyCode::Char('r') => self.confirm_retry(),
            KeyCode::Char('h') => self.confirm_hold(),
            KeyCode::Char('p') => self.ask_priority(),
            KeyCode::Char('d') => self.confirm_worker(Deed::Drain),
            KeyCode::Char('x') => self.confirm_worker(Deed::Stop),
            // What follows is about the table.
            _ if self.detail.is_some() => {}
            KeyCode::Char('s') => self.sort(false),
            KeyCode::Char('S') => self.sort(true),
            KeyCode::Enter | KeyCode::Right if self.view == View::Workers => self.see_tasks(),
            _ if self.view == View::Workers => {}
            KeyCode::Enter | KeyCode::Right => self.open(),
            KeyCode::Char('/') => self.mode = Mode::Filter(self.window.filter().text.clone()),
            KeyCode::Char('f') => self.mode = Mode::State,
            _ => {}
        }
    }

    fn turn_to(&mut self, view: View) {
        self.view = view;
        self.detail = None;
        self.ask_page();
    }

    fn sort(&mut self, reverse: bool) {
        if self.view == View::Workers {
            return if reverse { self.workers.reverse() } else { self.workers.next_sort() };
        }
        let sort = self.window.sort();
        let sort = if reverse { sort.reverse() } else { sort.next() };
        self.window.choose(self.window.filter().clone(), sort);
        self.ask_page();
    }

    fn filter(&mut self, filter: Filter) {
        self.window.choose(filter, self.window.sort());
        self.ask_page();
    }

    fn type_name(&mut self, mut text: String, key: KeyCode) {
        match key {
            KeyCode::Enter => {
                return self.filter(Filter { text, ..self.window.filter().clone() });
            }
            KeyCode::Esc => return,
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c) if text.len() + c.len_utf8() <= NAME_BYTES_MAX - 2 => text.push(c),
            _ => {}
        }
        self.mode = Mode::Filter(text);
    }

    fn choose_state(&mut self, key: KeyCode) {
        let before = self.window.filter().clone();
        let (held, state) = (key == KeyCode::Char('h'), None);
        let chosen = STATES.iter().find(|(letter, _)| key == KeyCode::Char(*letter));
        match (key, chosen) {
            (_, Some(&(_, of))) => self.filter(Filter { state: Some(of), held, ..before }),
            (KeyCode::Char('a' | 'h'), None) => self.filter(Filter { state, held, ..before }),
            _ => {}
        }
    }

    fn confirm_cancel(&mut self) {
        let Some(task) = self.task() else { return };
        let (name, state) = (task.name.clone(), task.state());
        match is_open(state) {
            true => self.mode = Mode::Confirm(Deed::Cancel { name, state }),
            false => self.say(format!("'{name}' is finished: nothing to cancel"), true),
        }
    }

    fn confirm_retry(&mut self) {
        use wire::State as Of;
        let Some(task) = self.task() else { return };
        let (name, state) = (task.name.clone(), task.state());
        // One that failed and waits for its next try need not wait.
        match state {
            Of::Failed | Of::Skipped | Of::Cancelled | Of::Done => {}
            Of::Waiting if task.retry_in_ms > 0 => {}
            _ => {
                let what = crate::render::words::state(state);
                return self.say(format!("'{name}' is {what}: nothing to retry"), true);
            }
        }
        self.mode = Mode::Confirm(Deed::Retry { name, state });
    }

    fn confirm_hold(&mut self) {
        let Some(task) = self.task() else { return };
        let (name, held) = (task.name.clone(), !task.held);
        match is_open(task.state()) {
            true => self.mode = Mode::Confirm(Deed::Hold { name, held }),
            false => self.say(format!("'{name}' is finished: nothing to hold"), true),
        }
    }

    fn ask_priority(&mut self) {
        let Some(task) = self.task() else { return };
        let (name, text) = (task.name.clone(), task.priority.to_string());
        match is_open(task.state()) {
            true => self.mode = Mode::Priority { name, text },
            false => self.say(format!("'{name}' is finished: its priority means nothing"), true),
        }
    }

    /// Of what is typed.
    fn clear_line(&mut self) {
        if let Mode::Filter(text) | Mode::Priority { text, .. } = &mut self.mode {
            text.clear();
        }
    }

    fn type_priority(&mut self, name: String, mut text: String, key: KeyCode) {
        match key {
            KeyCode::Enter => {
                return match text.parse() {
                    Ok(priority) => self.carry_out(Deed::Priority { name, priority }),
                    Err(_) => self.say(format!("'{text}' is no priority"), true),
                };
            }
            KeyCode::Esc => return,
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c @ ('-' | '0'..='9')) if text.len() < "-2147483648".len() => {
                text.push(c)
            }
            _ => {}
        }
        self.mode = Mode::Priority { name, text };
    }

    /// Of the chosen worker.
    fn see_tasks(&mut self) {
        if let Some(worker) = self.worker().map(|worker| worker.name.clone()) {
            self.view = View::Tasks;
            self.filter(Filter { worker, ..Filter::default() });
        }
    }

    fn confirm_worker(&mut self, deed: fn(String) -> Deed) {
        if let Some(worker) = self.worker() {
            self.mode = Mode::Confirm(deed(worker.name.clone()));
        }
    }

    fn read_help(&mut self, key: KeyCode) {
        match (scroll(key), key) {
            (Some(scroll), _) => self.help.scroll(scroll),
            (None, KeyCode::Char('q')) => self.is_over = true,
            (None, _) => return,
        }
        self.mode = Mode::Help;
    }
}

fn is_open(state: wire::State) -> bool {
    matches!(state, wire::State::Waiting | wire::State::Ready | wire::State::Running)
}

fn scroll(key: KeyCode) -> Option<Scroll> {
    Some(match key {
        KeyCode::Up | KeyCode::Char('k') => Scroll::Up,
        KeyCode::Down | KeyCode::Char('j') => Scroll::Down,
        KeyCode::PageUp => Scroll::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Scroll::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Scroll::Start,
        KeyCode::End | KeyCode::Char('G') => Scroll::End,
        _ => return None,
    })
}
