//! Create: all tasks of a request, or none.
//!
//! First everything that can refuse the request is looked at (conflicts, limits, cycles), then
//! the tasks are added; there is no undo.

use hashbrown::HashMap;

use super::Scheduler;
use super::complete::Resolved;
use super::graph::{Additions, Node, find_cycle};
use super::message::*;
use super::ready::Origin;
use super::task::{Slot, State, Task};

/// What is to be done with one task of the request.
enum Plan {
    Add,
    /// Its name was missing: the stored row becomes a task.
    Adopt(TaskId),
    /// It waits already; dwork programs add dependencies this way.
    Extend,
}

impl Scheduler {
    pub(super) fn create(&mut self, ticket: Ticket, tasks: Vec<NewTask>, merge: bool, past: &Past) {
        match self.plan(tasks, merge, past) {
            Ok((planned, existing)) => {
                let (added, ready) = self.carry_out(planned, past);
                self.answer(ticket, Answer::Created { added, existing, ready });
            }
            Err(answer) => self.answer(ticket, answer),
        }
    }

    fn plan(
        &self,
        tasks: Vec<NewTask>,
        merge: bool,
        past: &Past,
    ) -> Result<(Vec<(NewTask, Plan)>, u64), Answer> {
        let mut planned: Vec<(NewTask, Plan)> = Vec::with_capacity(tasks.len());
        let mut at: HashMap<Name, usize> = HashMap::with_capacity(tasks.len());
        let mut conflicts = Vec::new();
        let mut existing = 0;
        for task in tasks {
            if let Some(&first) = at.get(&task.name) {
                let (first, _) = &mut planned[first];
                if merge {
                    first.needs.extend(task.needs);
                } else if first.definition == task.definition {
                    existing += 1;
                } else {
                    conflicts.push(task.name);
                }
                continue;
            }
            let (definition, plan) = match self.known(&task.name, past) {
                None => (None, Plan::Add),
                Some((State::Missing, id, _)) => (None, Plan::Adopt(id)),
                Some((State::Waiting | State::Ready, _, definition))
                    if merge && !task.needs.is_empty() =>
                {
                    (Some(definition), Plan::Extend)
                }
                Some((_, _, definition)) => {
                    if merge || definition == task.definition {
                        existing += 1;
                    } else {
                        conflicts.push(task.name);
                    }
                    continue;
                }
            };
            existing += u64::from(definition.is_some());
            at.insert(task.name.clone(), planned.len());
            planned.push((task, plan));
        }
        if !conflicts.is_empty() {
            let message = format!(
                "'{}' exists with another definition{}; nothing was added",
                conflicts[0],
                more(conflicts.len())
            );
            return Err(Answer::Error { code: Code::Conflict, message, names: conflicts });
        }
        let additions = planned.iter().map(|(task, _)| (&task.name, task.needs.as_slice()));
        self.check(additions, &at)?;
        Ok((planned, existing))
    }

    /// State, id and definition of a name that memory or the store has.
    fn known(&self, name: &str, past: &Past) -> Option<(State, TaskId, u64)> {
        if let Some(slot) = self.tasks.find(name) {
            let task = self.tasks.get(slot);
            return Some((task.state, task.id, task.definition));
        }
        past.get(name).map(|past| (past.state, past.id, past.definition))
    }

    /// Refuses what would wait for itself, or for too many others.
    fn check<'a>(
        &self,
        tasks: impl Iterator<Item = (&'a Name, &'a [Name])>,
        at: &HashMap<Name, usize>,
    ) -> Result<(), Answer> {
        let unfinished = |name: &str| {
            self.tasks.find(name).filter(|&slot| !self.tasks.get(slot).state.is_finished())
        };
        let mut additions = Additions { nodes: Vec::new(), needs: Vec::new() };
        let mut names = Vec::new();
        for (i, (name, needs)) in tasks.enumerate() {
            let slot = unfinished(name);
            let has = slot.map_or(0, |slot| self.edges.preds(&self.tasks, slot).count());
            if has + needs.len() > self.config.needs_max {
                let message = format!(
                    "'{name}' would wait for {} tasks; the limit is {}",
                    has + needs.len(),
                    self.config.needs_max
                );
                return Err(Answer::Error {
                    code: Code::Limit,
                    message,
                    names: vec![name.clone()],
                });
            }
            additions.nodes.push(slot.map_or(Node::New(i as u32), Node::Known));
            let node = |need: &Name| match unfinished(need) {
                Some(slot) => Some(Node::Known(slot)),
                None => at.get(need).map(|&i| Node::New(i as u32)),
            };
            additions.needs.push(needs.iter().filter_map(node).collect());
            names.push(name);
        }
        let Some(cycle) = find_cycle(&self.tasks, &self.edges, &additions) else {
            return Ok(());
        };
        let mut names: Vec<Name> = cycle
            .iter()
            .map(|node| match *node {
                Node::Known(slot) => self.tasks.get(slot).name.clone(),
                Node::New(i) => names[i as usize].clone(),
            })
            .collect();
        names.push(names[0].clone());
        let shown = 20.min(names.len());
        let dots = if shown < names.len() { " -> ..." } else { "" };
        let message = format!(
            "these tasks wait for each other: {}{dots}; nothing was added",
            names[..shown].join(" -> ")
        );
        Err(Answer::Error { code: Code::Cycle, message, names })
    }

    fn carry_out(&mut self, planned: Vec<(NewTask, Plan)>, past: &Past) -> (u64, u64) {
        // All get their place first, so that their order in the request does not matter.
        let placed: Vec<Slot> = planned.iter().map(|(task, plan)| self.place(task, plan)).collect();
        let (mut added, mut ready) = (0, 0);
        for ((task, plan), slot) in planned.into_iter().zip(placed) {
            if matches!(plan, Plan::Extend) {
                self.add_needs(slot, &task.needs, past);
                continue;
            }
            added += 1;
            let mut needs = Vec::with_capacity(task.needs.len());
            let mut doomed_by = None;
            for need in &task.needs {
                match self.resolve(need, past) {
                    Resolved::Open(pred) => {
                        needs.push(self.tasks.get(pred).id);
                        self.add_edge(pred, slot);
                    }
                    Resolved::Done(id) => needs.push(id),
                    Resolved::Dead { id, blame } => {
                        needs.push(id);
                        doomed_by = Some(blame);
                    }
                }
            }
            let id = self.tasks.get(slot).id;
            let adopted = matches!(plan, Plan::Adopt(_));
            self.changes.push(Change::Added { id, task: Box::new(task), needs, adopted });
            if let Some(blame) = doomed_by {
                self.finish(slot, State::Skipped, blame);
            } else if self.tasks.get(slot).pending == 0 {
                self.make_ready(slot, Origin::New);
                ready += 1;
            }
        }
        (added, ready)
    }

    /// Finds or makes the slot of a task; a new one waits, for nothing yet.
    fn place(&mut self, task: &NewTask, plan: &Plan) -> Slot {
        let found = self.tasks.find(&task.name);
        if let (Plan::Extend, Some(slot)) = (plan, found) {
            return slot;
        }
        let slot = match found {
            Some(slot) => {
                self.set_state(slot, State::Waiting);
                slot
            }
            None => {
                let id = match plan {
                    Plan::Adopt(id) => *id,
                    Plan::Add | Plan::Extend => self.next_task(),
                };
                self.insert(id, task.name.clone(), State::Waiting)
            }
        };
        let known = self.tasks.get_mut(slot);
        known.pending = 0;
        known.definition = task.definition;
        known.priority = task.priority;
        known.retries = task.retries;
        known.details_bytes = task.details.as_ref().map_or(0, |details| details.bytes());
        slot
    }

    pub(super) fn insert(&mut self, id: TaskId, name: Name, state: State) -> Slot {
        self.counts.up(state);
        let slot = self.tasks.insert(Task::new(id, name, state));
        if state == State::Missing {
            self.missing.push_back(&mut self.tasks, slot);
        }
        slot
    }

    fn next_task(&mut self) -> TaskId {
        self.last_task += 1;
        self.last_task
    }

    /// What a name stands for; a name that nobody added is kept as missing.
    pub(super) fn resolve(&mut self, name: &Name, past: &Past) -> Resolved {
        if let Some(slot) = self.tasks.find(name) {
            let task = self.tasks.get(slot);
            return match task.state {
                State::Done => Resolved::Done(task.id),
                state if state.is_dead() => {
                    let blame = self.blame(slot);
                    Resolved::Dead { id: task.id, blame }
                }
                _ => Resolved::Open(slot),
            };
        }
        match past.get(name) {
            Some(past) if past.state == State::Done => Resolved::Done(past.id),
            Some(past) if past.state.is_dead() => Resolved::Dead { id: past.id, blame: past.blame },
            Some(past) => Resolved::Open(self.insert(past.id, name.clone(), State::Missing)),
            None => {
                let id = self.next_task();
                self.changes.push(Change::Missing { id, name: name.clone() });
                Resolved::Open(self.insert(id, name.clone(), State::Missing))
            }
        }
    }

    /// Would these further dependencies close a cycle?
    pub(super) fn check_further(&self, further: &[(Name, Vec<Name>)]) -> Result<(), Answer> {
        if further.is_empty() {
            return Ok(());
        }
        let at = further.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect();
        self.check(further.iter().map(|(name, needs)| (name, needs.as_slice())), &at)
    }

    pub(super) fn add_further(&mut self, name: &str, needs: &[Name], past: &Past) {
        if let Some(slot) = self.tasks.find(name)
            && matches!(self.tasks.get(slot).state, State::Waiting | State::Ready)
        {
            self.add_needs(slot, needs, past);
        }
    }
}

fn more(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!(" ({} more like it)", count - 1),
    }
}
