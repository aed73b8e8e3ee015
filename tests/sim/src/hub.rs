//! A hub as in server.rs, without sockets: receive, carry out, let time pass, commit, answer, work.
//!
//! Each part of a turn is a function of its own, so that a crash or a pause can come in between.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::rc::Rc;

use dhub::archive;
use dhub::delivery::{self, Delivery};
use dhub::job::{Job, RetryJob, Step, SweepJob};
use dhub::scheduler::message::*;
use dhub::scheduler::{Config, Scheduler, State};

use crate::check::{self, Cause, Check};
use crate::clock::Clock;
use crate::describe::Brief;
use crate::message::{Ask, Body, Frame, PeerId, Reply};
use crate::note;
use crate::store::{Moment, Rows, Store};
use crate::tally::{Met, Tally};
use crate::trace::Trace;

/// As docs/architecture.md has it: no turn for so long means that the hub itself was stopped.
const PAUSE_MS: u64 = 1_250;
/// However many turns the tables lag, they do not for longer.
const LAG_MS: u64 = 5 * 60_000;

/// What outlives the hub.
pub struct Machine<'a> {
    pub clock: &'a Clock,
    pub store: &'a mut Store,
    pub trace: &'a mut Trace,
    pub tally: &'a mut Tally,
}

struct Route {
    peer: PeerId,
    conn: u32,
    id: u64,
    ask: Rc<Ask>,
    since: Millis,
}

/// How far the tables lag behind.
#[derive(Clone)]
pub struct Lag {
    /// Turns after which there is a fold.
    pub turns: Turn,
    /// Of those, the last ones that it leaves for the next.
    pub left: Turn,
    /// Of the world's time.
    pub folded_at: Millis,
}

impl Lag {
    /// Up to which turn to fold now.
    fn due(&mut self, turn: Turn, now: Millis) -> Option<Turn> {
        let is_late = now >= self.folded_at + LAG_MS;
        if !turn.is_multiple_of(self.turns) && !is_late {
            return None;
        }
        self.folded_at = now;
        Some(if is_late { turn } else { turn.saturating_sub(self.left) })
    }
}

/// A long request under way, and all who sent it.
struct Running {
    ticket: Ticket,
    ask: Rc<Ask>,
    job: Job,
    askers: Vec<Ticket>,
}

pub struct Hub {
    scheduler: Scheduler,
    turn: Turn,
    lag: Lag,
    began: Millis,
    pub inbox: VecDeque<Frame>,
    routes: BTreeMap<Ticket, Route>,
    last_ticket: Ticket,
    jobs: VecDeque<Running>,
    finished_jobs: Vec<Ticket>,
    /// Sockets that are known to be closed.
    gone: BTreeSet<(PeerId, u32)>,
    /// What may be said after the commit.
    answered: Vec<(Ticket, Answer)>,
    delivery: Delivery,
    /// Attempts that some client was told of.
    sent: BTreeSet<(Name, u32)>,
    busy: bool,
    last_turn: Option<Millis>,
    commands: u64,
}

impl Hub {
    pub fn start(config: Config, lag: Lag, at: &mut Machine) -> Result<Self, String> {
        let mut scheduler = Scheduler::new(config);
        at.store.restore(0, at.clock.wall(), &mut scheduler);
        let mut hub = Self {
            scheduler,
            turn: 0,
            lag,
            began: at.clock.now(),
            inbox: VecDeque::new(),
            routes: BTreeMap::new(),
            last_ticket: 0,
            jobs: VecDeque::new(),
            finished_jobs: Vec::new(),
            gone: BTreeSet::new(),
            answered: Vec::new(),
            delivery: Delivery::default(),
            sent: BTreeSet::new(),
            busy: true,
            last_turn: None,
            commands: 0,
        };
        hub.take_changes(Cause::Restore, at)?;
        Ok(hub)
    }

    fn now(&self, at: &Machine) -> Millis {
        at.clock.now() - self.began
    }

    /// When to have a turn at the latest; the world's time.
    pub fn deadline(&self) -> Option<Millis> {
        self.scheduler.deadline().map(|deadline| deadline + self.began)
    }

    pub fn is_busy(&self) -> bool {
        self.busy || !self.jobs.is_empty() || !self.finished_jobs.is_empty()
    }

    /// Nothing to do, now or later, unless somebody asks for it.
    pub fn is_at_rest(&self) -> bool {
        let over = !matches!(self.scheduler.phase(), Phase::Active);
        over && !self.is_busy() && self.inbox.is_empty()
    }

    pub fn commands(&self) -> u64 {
        self.commands
    }

    pub fn lost_peer(&mut self, peer: PeerId, conn: u32) {
        self.gone.insert((peer, conn));
    }

    // --- in ----------------------------------------------------------------------------------

    pub fn receive(&mut self, most: usize, at: &mut Machine) -> Check {
        for _ in 0..most {
            let Some(frame) = self.inbox.pop_front() else {
                break;
            };
            self.take(frame, at)?;
        }
        self.busy = !self.inbox.is_empty();
        Ok(())
    }

    fn take(&mut self, frame: Frame, at: &mut Machine) -> Check {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        note!(at.trace, at.clock.now(), "hub <- {}: {}", frame.from, Brief(&*frame.ask));
        if frame.id > 0 {
            let (peer, conn, id, ask) = (frame.from, frame.conn, frame.id, frame.ask.clone());
            self.routes.insert(ticket, Route { peer, conn, id, ask, since: self.now(at) });
        }
        // Sent again while it is under way: it joins.
        if let Some(same) = self.jobs.iter_mut().find(|running| running.ask == frame.ask) {
            same.askers.push(ticket);
            return Ok(());
        }
        let job = match &*frame.ask {
            Ask::Command(command) => {
                return self.carry_out(command.clone().with_ticket(ticket), false, at);
            }
            Ask::Sweep { selection, deed } => {
                Job::Sweep(Box::new(SweepJob::new(selection.clone(), *deed)))
            }
            Ask::Retry { selection, done } => {
                Job::Retry(Box::new(RetryJob::new(selection.clone(), *done)))
            }
        };
        self.jobs.push_back(Running { ticket, ask: frame.ask, job, askers: vec![ticket] });
        Ok(())
    }

    fn carry_out(&mut self, command: Command, done: bool, at: &mut Machine) -> Check {
        let now = self.now(at);
        self.expect_of_leases(now, &command, at.store);
        let cause = Cause::of(&command, done);
        archive::carry_out(&mut self.scheduler, &at.store.tables, now, command)?;
        self.commands += 1;
        for (ticket, answer) in self.scheduler.take_answers() {
            if matches!(answer, Answer::Replaced | Answer::Joined { .. }) {
                self.check_replaced(ticket)?;
            }
            if let Answer::Awaited { finished, .. } = &answer
                && !finished.is_empty()
                && ticket != self.last_ticket
            {
                at.tally.note(Met::TaskAwaited);
            }
            self.answered.push((ticket, answer));
        }
        self.take_changes(cause, at)
    }

    /// Of two steals of one client, the one that arrived last and one that was parked.
    fn check_replaced(&self, ticket: Ticket) -> Check {
        let Some(replaced) = self.routes.get(&ticket) else {
            return Ok(());
        };
        let is_new = ticket == self.last_ticket;
        let client = client_of(&replaced.ask);
        let mut others = self.routes.iter().rev().filter(|(other, route)| {
            let answered = self.answered.iter().any(|(answered, _)| answered == *other);
            **other != ticket && !answered && client_of(&route.ask) == client
        });
        let kept = match is_new {
            true => others.next().map(|(_, route)| &*route.ask),
            false => self.routes.get(&self.last_ticket).map(|route| &*route.ask),
        };
        check::answer::older_is_replaced(&replaced.ask, kept, is_new)
    }

    fn take_changes(&mut self, cause: Cause, at: &mut Machine) -> Check {
        let changes = self.scheduler.take_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let moment = Moment { now: self.now(at), wall: at.clock.wall(), step: self.commands };
        for change in changes {
            note!(at.trace, at.clock.now(), "      {}", Brief(&change));
            check::change::check(&at.store.current, &change, cause, moment)?;
            self.tally(&change, at);
            at.store.note(change, moment);
        }
        check::memory::after_command(&self.scheduler, &at.store.current)
    }

    fn tally(&self, change: &Change, at: &mut Machine) {
        let met = match change {
            Change::Ended { how: Ended::Reclaimed, .. } => Met::LeaseReclaimed,
            Change::Ended { task, attempt, .. }
                if at.store.current.get(*task).is_some_and(|row| row.ended(*attempt).is_some()) =>
            {
                Met::OutcomeAfterReclaim
            }
            Change::Finished { state: State::Skipped, .. } => Met::TaskSkipped,
            Change::Back { task, failures, .. }
                if at.store.current.get(*task).is_some_and(|row| row.failures < *failures) =>
            {
                Met::TaskFailedWithRetries
            }
            Change::Reopened { .. } => Met::TaskRetried,
            Change::Adjusted { held: true, .. } => Met::TaskHeld,
            _ => return,
        };
        at.tally.note(met);
    }

    /// When leases should end: a pause of the hub lengthens all, a heartbeat those that it lists.
    fn expect_of_leases(&mut self, now: Millis, command: &Command, store: &mut Store) {
        let pause = self.last_turn.map_or(0, |last| now - last);
        self.last_turn = Some(now);
        let rows = &mut store.current;
        if pause > PAUSE_MS {
            rows.leases.values_mut().for_each(|lease| lease.expires += pause);
        }
        if let Command::Hasten { names, .. } = command {
            names.iter().for_each(|name| rows.hasten(name));
        }
        let Command::Heartbeat { who, attempts, .. } = command else {
            return;
        };
        let worker = rows.worker(who);
        for attempt in attempts {
            let Some(task) = rows.find(&attempt.name).map(|row| row.id) else {
                continue;
            };
            if let Some(lease) = rows.leases.get_mut(&task)
                && Some(lease.worker) == worker
                && lease.attempt == attempt.attempt
            {
                lease.expires = now + lease.term_ms;
            }
        }
    }

    pub fn pass_time(&mut self, at: &mut Machine) -> Check {
        self.carry_out(Command::Tick, false, at)
    }

    // --- out ---------------------------------------------------------------------------------

    pub fn before_commit(&self, at: &mut Machine) -> Check {
        let (current, committed) = (&at.store.current, &at.store.committed);
        check::memory::before_commit(&self.scheduler, current, committed, self.now(at))
    }

    /// Only for a planted bug.
    pub fn forget_finished(&mut self) {
        self.scheduler.committed(0);
        self.scheduler.folded(Turn::MAX);
    }

    pub fn commit(&mut self, at: &mut Machine) -> Check {
        if at.store.has_pending() {
            note!(at.trace, at.clock.now(), "hub    commit");
        }
        self.turn += 1;
        at.store.commit(self.turn);
        self.scheduler.committed(self.turn);
        check::memory::after_commit(&self.scheduler, &at.store.committed)?;
        match self.lag.due(self.turn, at.clock.now()) {
            Some(turn) => self.fold(turn, at),
            None => Ok(()),
        }
    }

    /// The tables have what was committed up to this turn.
    fn fold(&mut self, turn: Turn, at: &mut Machine) -> Check {
        at.store.fold(turn);
        self.scheduler.folded(turn);
        check::memory::after_fold(&self.scheduler, &at.store.tables, &at.store.committed)
    }

    /// What may be said now; each answer is looked at beside what is committed.
    pub fn answers(&mut self, at: &mut Machine) -> Result<Vec<Reply>, String> {
        let mut replies = Vec::new();
        for (ticket, answer) in std::mem::take(&mut self.answered) {
            if let Some(running) = self.jobs.iter_mut().find(|job| job.ticket == ticket) {
                running.job.answered(answer);
                continue;
            }
            let Some(route) = self.routes.remove(&ticket) else {
                continue;
            };
            if matches!(answer, Answer::Replaced | Answer::Joined { .. } | Answer::Forgotten) {
                continue;
            }
            if let Answer::Completed { refused, .. } = &answer {
                refused.iter().for_each(|_| at.tally.note(Met::OutcomeRefused));
            }
            check::answer::is_committed(&route.ask, &answer, &at.store.committed)?;
            let body = Body::Answer(Rc::new(answer));
            replies.push(Reply { to: route.peer, conn: route.conn, id: route.id, body });
        }
        for ticket in std::mem::take(&mut self.finished_jobs) {
            if let Some(Route { peer: to, conn, id, .. }) = self.routes.remove(&ticket) {
                replies.push(Reply { to, conn, id, body: Body::JobDone });
            }
        }
        // As of the tick: the hub may have been stopped since.
        let now = self.last_turn.unwrap_or(0);
        let waiting = self.routes.values().filter(|route| matches!(*route.ask, Ask::Command(_)));
        let parked =
            waiting.map(|route| check::answer::Parked { ask: &route.ask, since: route.since });
        check::answer::parked_have_to_wait(&self.scheduler, now, parked)?;
        Ok(replies)
    }

    /// Whether the socket is still there, as far as the hub can know.
    pub fn can_reach(&self, reply: &Reply) -> bool {
        !self.gone.contains(&(reply.to, reply.conn))
    }

    /// The reply was sent, or its asker is gone.
    pub fn note_sent(&mut self, reply: &Reply, sent: bool) {
        let Body::Answer(answer) = &reply.body else {
            return;
        };
        let Some(handed) = delivery::handed(answer) else {
            return;
        };
        if sent {
            self.sent.extend(delivery::attempts(handed));
        }
        self.delivery.note(handed, sent);
    }

    /// Takes back the leases that nobody has heard of.
    pub fn take_back(&mut self, at: &mut Machine) -> Check {
        let leases = self.delivery.undelivered();
        if leases.is_empty() {
            return Ok(());
        }
        if let Some((name, attempt)) = leases.iter().find(|lease| self.sent.contains(lease)) {
            return Err(format!("{name}#{attempt} was sent, and is taken back as undelivered"));
        }
        let newer = newer_leases(&at.store.current, &leases);
        let command = Command::Undelivered { leases: leases.clone() };
        at.tally.note(Met::ReplyFailed);
        note!(at.trace, at.clock.now(), "hub    {}", Brief(&command));
        self.carry_out(command, false, at)?;
        if newer_leases(&at.store.current, &leases) < newer {
            return Err(format!("attempts {leases:?} are given back, and newer ones with them"));
        }
        self.busy = true;
        Ok(())
    }

    /// After the answers of a turn: what waits for a socket that is closed waits for nothing.
    pub fn forget_gone(&mut self, at: &mut Machine) -> Check {
        let is_gone = |route: &Route| {
            let command = matches!(*route.ask, Ask::Command(_));
            command && self.gone.contains(&(route.peer, route.conn))
        };
        let gone = self.routes.iter().filter(|(_, route)| is_gone(route));
        let tickets: HashSet<Ticket> = gone.map(|(&ticket, _)| ticket).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        let command = Command::Forget { tickets };
        at.tally.note(Met::Forgotten);
        note!(at.trace, at.clock.now(), "hub    {}", Brief(&command));
        self.carry_out(command, false, at)
    }

    /// One slice of one long request.
    pub fn work(&mut self, at: &mut Machine) -> Check {
        let Some(mut running) = self.jobs.pop_front() else {
            return Ok(());
        };
        self.fold(self.turn, at)?;
        match running.job.step(running.ticket, &self.scheduler, &at.store.tables)? {
            Step::Again | Step::Later => self.jobs.push_back(running),
            Step::Apply(command) => {
                note!(at.trace, at.clock.now(), "hub    job: {}", Brief(&command));
                let done = matches!(*running.ask, Ask::Retry { done: true, .. });
                self.jobs.push_back(running);
                self.carry_out(command, done, at)?;
            }
            Step::Done(_) => {
                self.finished_jobs.extend(running.askers);
                self.busy = true;
            }
        }
        Ok(())
    }
}

fn client_of(ask: &Ask) -> Option<ClientId> {
    match ask {
        Ask::Command(Command::Steal { steal, .. }) => steal.client,
        _ => None,
    }
}

/// Leases that have followed those that could not be told, and are not among them.
fn newer_leases(rows: &Rows, leases: &[(Name, u32)]) -> usize {
    let is_newer = |(name, attempt): &&(Name, u32)| {
        let lease = rows.find(name).and_then(|row| rows.leases.get(&row.id));
        lease.is_some_and(|lease| {
            lease.attempt > *attempt && !leases.contains(&(name.clone(), lease.attempt))
        })
    };
    leases.iter().filter(is_newer).count()
}
