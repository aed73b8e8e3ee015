//! Create: all tasks of a request, or none.
//!
//! First everything that can refuse the request is looked at (conflicts, limits, cycles), then
//! the tasks are added; there is no undo.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::complete::Resolved;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::graph::{Additions, Node, Walk, find_cycle};
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::slot::{NONE, Slot};
use crate::engine::scheduler::state::task::Task;

/// Steps of a walk through what waits for what that take no time to speak of.
const NEAR_STEPS: usize = 10_000;

/// What is to be done with one task of the request.
#[derive(Clone, Copy)]
enum Plan {
    Add,
    /// Its name was missing, here or in the store alone: the stored row becomes a task.
    Adopt(TaskId, Option<Slot>),
    /// It waits already; dwork programs add dependencies this way.
    Extend(Slot),
}

/// The tasks of a request that change something, found by name.
struct Batch {
    tasks: Vec<(NewTask, Plan)>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Batch {
    fn find(&self, name: &Name) -> Option<usize> {
        let is_it = |&i: &u32| self.tasks[i as usize].0.name == *name;
        self.index.find(self.hasher.hash_one(name), is_it).map(|&i| i as usize)
    }
}

impl Scheduler {
    pub(crate) fn create(&mut self, ticket: Ticket, tasks: Vec<NewTask>, merge: bool, past: &Past) {
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
        let mut batch = Batch {
            tasks: Vec::with_capacity(tasks.len()),
            index: HashTable::with_capacity(tasks.len()),
            hasher: DefaultHashBuilder::default(),
        };
        let mut conflicts = Vec::new();
        let mut existing = 0;
        let found = self.tasks.find_all(tasks.iter().map(|task| &task.name));
        for (task, slot) in tasks.into_iter().zip(found) {
            let Batch { tasks, index, hasher } = &mut batch;
            let place = index.entry(
                hasher.hash_one(&task.name),
                |&i| tasks[i as usize].0.name == task.name,
                |&i| hasher.hash_one(&tasks[i as usize].0.name),
            );
            let place = match place {
                Entry::Vacant(place) => place,
                Entry::Occupied(first) => {
                    let (first, _) = &mut tasks[*first.get() as usize];
                    if merge {
                        first.needs.extend(task.needs);
                    } else if first.definition == task.definition {
                        existing += 1;
                    } else {
                        conflicts.push(task.name);
                    }
                    continue;
                }
            };
            let plan = match self.known(&task.name, slot, past) {
                None => Plan::Add,
                Some((State::Missing, id, slot, _)) => Plan::Adopt(id, slot),
                Some((State::Waiting | State::Ready, _, Some(slot), _))
                    if merge && !task.needs.is_empty() =>
                {
                    existing += 1;
                    Plan::Extend(slot)
                }
                Some((_, _, _, definition)) => {
                    if merge || definition == task.definition {
                        existing += 1;
                    } else {
                        conflicts.push(task.name);
                    }
                    continue;
                }
            };
            place.insert(tasks.len() as u32);
            tasks.push((task, plan));
        }
        if !conflicts.is_empty() {
            let message = format!(
                "'{}' exists with another definition{}; nothing was added",
                conflicts[0],
                more(conflicts.len())
            );
            return Err(Answer::Error { code: Code::Conflict, message, names: conflicts });
        }
        let additions = batch.tasks.iter().map(|(task, plan)| {
            let slot = match *plan {
                Plan::Add => None,
                Plan::Adopt(_, slot) => slot,
                Plan::Extend(slot) => Some(slot),
            };
            (&task.name, slot, task.needs.as_slice())
        });
        self.check(additions, |name| batch.find(name))?;
        Ok((batch.tasks, existing))
    }

    /// State, id, slot and definition of a name that memory or the store has.
    fn known(
        &self,
        name: &str,
        slot: Option<Slot>,
        past: &Past,
    ) -> Option<(State, TaskId, Option<Slot>, u64)> {
        if let Some(slot) = slot {
            let task = self.tasks.get(slot);
            return Some((task.state, task.id, Some(slot), task.definition));
        }
        past.get(name).map(|past| (past.state, past.id, None, past.definition))
    }

    fn unfinished(&self, name: &str) -> Option<Slot> {
        self.tasks.find(name).filter(|&slot| !self.tasks.get(slot).state.is_finished())
    }

    /// Refuses what would wait for itself, or for too many others. `tasks` are names, where they
    /// are if they are unfinished, and their further needs; `at` says which of them a name is.
    fn check<'a>(
        &self,
        tasks: impl Iterator<Item = (&'a Name, Option<Slot>, &'a [Name])> + Clone,
        at: impl Fn(&Name) -> Option<usize>,
    ) -> Result<(), Answer> {
        // If nothing waits for them, only they can wait for each other; and not in a circle if each
        // needs earlier ones.
        let mut in_order = true;
        for (i, (name, slot, needs)) in tasks.clone().enumerate() {
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
            in_order = in_order
                && slot.is_none_or(|slot| self.tasks.get(slot).first_succ == NONE)
                && needs.iter().all(|need| at(need).is_none_or(|earlier| earlier < i));
        }
        if in_order {
            return Ok(());
        }
        let mut additions = Additions { nodes: Vec::new(), needs: Vec::new() };
        let mut names = Vec::new();
        for (i, (name, slot, needs)) in tasks.enumerate() {
            additions.nodes.push(slot.map_or(Node::New(i as u32), Node::Known));
            let node = |need: &Name| match self.unfinished(need) {
                Some(slot) => Some(Node::Known(slot)),
                None => at(need).map(|i| Node::New(i as u32)),
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

    /// Whether it takes long to see that the request closes no circle: much waits for what it names, and that
    /// would wait for much.
    pub fn walks_far(&self, body: &Body) -> bool {
        let further: Vec<(&Name, &[Name], bool)> = match body {
            Body::Create { tasks, merge } => {
                tasks.iter().map(|task| (&task.name, task.needs.as_slice(), *merge)).collect()
            }
            Body::Release { attempts, needs } => {
                let names = attempts.iter().map(|attempt| &attempt.name);
                names.zip(needs).map(|(name, needs)| (name, needs.as_slice(), true)).collect()
            }
            _ => return false,
        };
        // Others are refused, or there already, or nothing waits for them.
        let is_changed = |slot: &Slot, merge| {
            let task = self.tasks.get(*slot);
            task.first_succ != NONE && (merge || task.state == State::Missing)
        };
        let down = further.iter().filter(|(_, needs, _)| !needs.is_empty());
        let down = down.filter_map(|(name, _, merge)| {
            self.unfinished(name).filter(|slot| is_changed(slot, *merge))
        });
        let down: Vec<Slot> = down.collect();
        if down.is_empty() {
            return false;
        }
        let up = further.iter().flat_map(|(_, needs, _)| *needs);
        let up = up.filter_map(|need| self.unfinished(need));
        let mut walk = Walk::new(&self.tasks, &self.edges, down.into_iter(), up);
        let mut steps = 0;
        while !walk.is_over() && steps < NEAR_STEPS {
            walk.step();
            steps += 1;
        }
        !walk.is_over()
    }

    fn carry_out(&mut self, planned: Vec<(NewTask, Plan)>, past: &Past) -> (u64, u64) {
        // All get their place first, so that their order in the request does not matter.
        let placed: Vec<Slot> =
            planned.iter().map(|(task, plan)| self.place(task, *plan)).collect();
        let found = self.tasks.find_all(planned.iter().flat_map(|(task, _)| &task.needs));
        let mut found = found.as_slice();
        let (mut added, mut ready) = (0, 0);
        for ((task, plan), slot) in planned.into_iter().zip(placed) {
            let (preds, others) = found.split_at(task.needs.len());
            found = others;
            if matches!(plan, Plan::Extend(_)) {
                self.add_needs(slot, &task.needs, past);
                continue;
            }
            added += 1;
            let mut needs = Vec::with_capacity(task.needs.len());
            let mut doomed_by = None;
            for (need, pred) in task.needs.iter().zip(preds) {
                match self.resolve(need, *pred, past) {
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
            let adopted = matches!(plan, Plan::Adopt(..));
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
    fn place(&mut self, task: &NewTask, plan: Plan) -> Slot {
        let slot = match plan {
            Plan::Extend(slot) => return slot,
            Plan::Adopt(_, Some(slot)) => {
                self.set_state(slot, State::Waiting);
                slot
            }
            Plan::Adopt(id, None) => self.insert(id, task.name.clone(), State::Waiting),
            Plan::Add => {
                let id = self.next_task();
                self.insert(id, task.name.clone(), State::Waiting)
            }
        };
        let known = self.tasks.get_mut(slot);
        known.pending = 0;
        known.lease = NONE;
        known.definition = task.definition;
        known.priority = task.priority;
        known.effective = known.effective.max(task.priority);
        known.retries = task.retries;
        known.details_bytes = task.details.as_ref().map_or(0, |details| details.bytes());
        slot
    }

    pub(crate) fn insert(&mut self, id: TaskId, name: Name, state: State) -> Slot {
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

    /// What a name stands for; a name that nobody added is kept as missing. `found` is where it was
    /// before, if it was anywhere.
    pub(crate) fn resolve(&mut self, name: &Name, found: Option<Slot>, past: &Past) -> Resolved {
        if let Some(slot) = found.or_else(|| self.tasks.find(name)) {
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
    pub(crate) fn check_further(&self, further: &[(Name, Vec<Name>)]) -> Result<(), Answer> {
        if further.is_empty() {
            return Ok(());
        }
        let numbered = further.iter().enumerate();
        let at: HashMap<&Name, usize> = numbered.map(|(i, (name, _))| (name, i)).collect();
        let tasks =
            further.iter().map(|(name, needs)| (name, self.unfinished(name), needs.as_slice()));
        self.check(tasks, |name| at.get(name).copied())
    }

    pub(crate) fn add_further(&mut self, name: &str, needs: &[Name], past: &Past) {
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
