//! Workers that always hold something: a task that is tried alone comes to its turn all the same.

mod common;

use common::*;
use dhub::engine::message::*;
use dhub::engine::scheduler::State;

struct Pool {
    who: Who,
    slots: usize,
    /// Of those held.
    waiting: u32,
    number: u64,
    held: Vec<(Name, u32)>,
}

impl Pool {
    fn new(name: &str, slots: usize) -> Self {
        Self { who: who(name), slots, waiting: 0, number: 0, held: Vec::new() }
    }

    /// What it wants now.
    fn want(&mut self) -> Steal {
        self.number += 1;
        let n = self.slots + self.waiting as usize - self.held.len();
        let (slots, waiting) = (self.slots as u32, self.waiting);
        Steal { slots, waiting, ..steal(&self.who, self.number, n as u32) }
    }

    fn take(&mut self, stolen: Stolen) -> usize {
        let leases = stolen.leases.into_iter().map(|lease| (lease.name, lease.attempt));
        let before = self.held.len();
        self.held.extend(leases);
        self.held.len() - before
    }

    fn steal(&mut self, hub: &mut Hub) -> usize {
        let (who, steal) = (self.who.clone(), self.want());
        match hub.ask(Request::by(who, Body::Steal(steal))) {
            Answer::Stolen(stolen) => self.take(stolen),
            answer => panic!("a steal was answered with {answer:?}"),
        }
    }

    /// What it got first is done, and it asks for more; how much it gets.
    fn go_on(&mut self, hub: &mut Hub) -> usize {
        if self.held.is_empty() {
            return self.steal(hub);
        }
        let (name, attempt) = self.held.remove(0);
        let (who, want) = (self.who.clone(), Some(self.want()));
        let outcomes = vec![outcome(&name, attempt, Verdict::Done)];
        match hub.ask(Request::by(who, Body::Complete { outcomes, want })) {
            Answer::Completed { stolen: Some(stolen), .. } => self.take(stolen),
            answer => panic!("an outcome was answered with {answer:?}"),
        }
    }

    fn beat(&self, hub: &mut Hub) {
        let attempt = |(name, attempt): &(Name, u32)| AttemptRef {
            name: name.clone(),
            attempt: *attempt,
            started: true,
        };
        let (who, attempts) = (self.who.clone(), self.held.iter().map(attempt).collect());
        hub.ask(Request::by(who, Body::Heartbeat { attempts }));
    }
}

fn create(hub: &mut Hub, names: impl IntoIterator<Item = String>) {
    let tasks = names.into_iter().map(|name| task(&name, &[])).collect();
    hub.ask(Body::Create { tasks, merge: false });
}

fn pass(hub: &mut Hub, seconds: u64) {
    for _ in 0..seconds {
        hub.now += TURN_MS;
        hub.turn();
    }
}

/// These tasks are on their last tries, and each pool holds as many others as it can.
fn worn_out(pills: usize, pools: &mut [Pool]) -> Hub {
    let mut hub = Hub::in_memory();
    create(&mut hub, (0..pills).map(|pill| format!("pill{pill}")));
    for time in 1..=4 {
        let mut victim = Pool::new("w0", pills);
        victim.number = time;
        assert_eq!(victim.steal(&mut hub), pills);
        pass(&mut hub, 20);
        if time == 4 {
            create(&mut hub, (0..1_000).map(|number| format!("bulk{number}")));
            pools.iter_mut().for_each(|pool| assert_eq!(pool.steal(&mut hub), pool.slots));
        }
        pass(&mut hub, 10);
    }
    for pill in 0..pills {
        let task = hub.scheduler.find(&format!("pill{pill}")).expect("an unfinished task");
        assert_eq!((task.state, task.reclaims), (State::Ready, 4));
    }
    hub
}

#[test]
fn last_tries_come_to_their_turn_one_after_the_other_where_nobody_is_ever_idle() {
    const PILLS: usize = 3;
    let mut pools: Vec<Pool> = [("w1", 2), ("w2", 4), ("w3", 3), ("w4", 2)]
        .map(|(name, slots)| Pool::new(name, slots))
        .into();
    let mut hub = worn_out(PILLS, &mut pools);
    let is_pill = |(name, _): &(Name, u32)| name.starts_with("pill");
    let mut done = 0;
    // Up to four turns of each pool make room for one of them, and one more ends it.
    for round in 0..PILLS * 5 {
        let mut refused = 0;
        for pool in &mut pools {
            let was_alone = pool.held.iter().any(is_pill);
            let got = pool.go_on(&mut hub);
            done += usize::from(was_alone);
            let is_alone = pool.held.iter().any(is_pill);
            assert!(!is_alone || pool.held.len() == 1, "{:?}", pool.held);
            refused += usize::from(got == 0);
        }
        assert!(refused <= 1, "{refused} get nothing in round {round}");
    }
    assert_eq!(done, PILLS);
    // Then all have what they want.
    for pool in &mut pools {
        pool.go_on(&mut hub);
        assert_eq!(pool.held.len(), pool.slots);
    }
}

/// Its steal waits; the answers that came to it.
fn park(hub: &mut Hub, pool: &mut Pool) -> Ticket {
    let steal = Steal { wait_ms: 6_000_000, ..pool.want() };
    let ticket = hub.send(Request::by(pool.who.clone(), Body::Steal(steal)));
    assert_eq!(hub.turn(), []);
    ticket
}

/// What a second brings to who waits.
fn second(hub: &mut Hub, pool: &mut Pool, ticket: Ticket) -> usize {
    pool.beat(hub);
    hub.now += TURN_MS;
    let mut got = 0;
    for (to, answer) in hub.turn() {
        match answer {
            Answer::Stolen(stolen) if to == ticket => got += pool.take(stolen),
            answer => panic!("{answer:?}"),
        }
    }
    got
}

#[test]
fn another_makes_room_where_one_does_not_become_empty_in_a_minute() {
    let mut pools = [Pool::new("w1", 2), Pool::new("w2", 2)];
    let mut hub = worn_out(1, &mut pools);
    let [never_empty, other] = &mut pools;
    assert_eq!(never_empty.go_on(&mut hub), 0);
    let ticket = park(&mut hub, never_empty);
    for _ in 0..59 {
        assert_eq!(other.go_on(&mut hub), 1);
        assert_eq!(second(&mut hub, never_empty, ticket), 0);
    }
    // Its turn is over: it has its share at once, and the next one that asks makes room.
    assert_eq!(second(&mut hub, never_empty, ticket), 1);
    assert_eq!(never_empty.held.len(), 2);
    assert_eq!(other.go_on(&mut hub), 0);
    assert_eq!(never_empty.go_on(&mut hub), 1);
    assert_eq!(other.go_on(&mut hub), 1);
    assert_eq!(&*other.held[0].0, "pill0");
}

/// What it holds may wait for what it would be given.
#[test]
fn who_makes_room_in_vain_goes_on_though_nobody_else_asks() {
    let mut pools = [Pool::new("w1", 2), Pool::new("w2", 1)];
    let mut hub = worn_out(1, &mut pools);
    let [asks, full] = &mut pools;
    assert_eq!(asks.go_on(&mut hub), 0);
    let mut ticket = park(&mut hub, asks);
    let mut turns = Vec::new();
    while turns.len() < 2 {
        let mut seconds = 0_u32;
        loop {
            full.beat(&mut hub);
            seconds += 1;
            if second(&mut hub, asks, ticket) > 0 {
                break;
            }
        }
        turns.push(seconds);
        // As long as its turn was it has what it asks for.
        let mut goes_on = 0_u32;
        loop {
            let (name, attempt) = asks.held.remove(0);
            let who = asks.who.clone();
            let outcomes = vec![outcome(&name, attempt, Verdict::Done)];
            hub.send(Request::by(who, Body::Complete { outcomes, want: None }));
            hub.turn();
            full.beat(&mut hub);
            if asks.steal(&mut hub) == 0 {
                break;
            }
            goes_on += 1;
            second(&mut hub, asks, ticket);
        }
        assert!(goes_on.abs_diff(seconds) < 3, "{goes_on} of {seconds}");
        ticket = park(&mut hub, asks);
    }
    assert_eq!(turns[0], 60);
    assert!(turns[1].abs_diff(120) < 3, "{turns:?}");
}

fn names(pool: &Pool) -> Vec<&str> {
    pool.held.iter().map(|(name, _)| &**name).collect()
}

/// A call that has calls of its own: they may have no other worker.
#[test]
fn a_last_try_that_waits_for_others_has_one_of_them_beside_it_at_a_time() {
    let mut hub = worn_out(1, &mut []);
    let mut pool = Pool::new("w1", 3);
    assert_eq!(pool.steal(&mut hub), 1);
    assert_eq!(pool.steal(&mut hub), 0);
    let ticket = park(&mut hub, &mut pool);
    pool.waiting = 1;
    assert_eq!(pool.steal(&mut hub), 1);
    assert_eq!((second(&mut hub, &mut pool, ticket), pool.steal(&mut hub)), (0, 0));
    // One after the other, also those that a parked steal waits for.
    let (parked, who) = (park(&mut hub, &mut pool), pool.who.clone());
    let (name, attempt) = pool.held.pop().expect("the one beside it");
    let outcomes = vec![outcome(&name, attempt, Verdict::Done)];
    hub.send(Request::by(who, Body::Complete { outcomes, want: None }));
    let told: Vec<Answer> =
        hub.turn().into_iter().filter(|it| it.0 == parked).map(|it| it.1).collect();
    let [Answer::Stolen(stolen)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(pool.take(stolen.clone()), 1);
    assert_eq!(names(&pool), ["pill0", "bulk1"]);
    // It goes on: nothing comes beside it any more.
    pool.waiting = 0;
    pool.held.pop();
    assert_eq!(pool.steal(&mut hub), 0);
    assert_eq!(names(&pool), ["pill0"]);
}

#[test]
fn a_last_try_beside_what_waits_for_it_is_alone_to_blame() {
    let mut pools = [Pool::new("w1", 1)];
    let mut hub = worn_out(1, &mut pools);
    let [pool] = &mut pools;
    assert_eq!(names(pool), ["bulk0"]);
    assert_eq!(pool.steal(&mut hub), 0);
    pool.waiting = 1;
    assert_eq!(pool.steal(&mut hub), 1);
    assert_eq!(names(pool), ["bulk0", "pill0"]);
    pool.beat(&mut hub);
    pass(&mut hub, 40);
    assert!(hub.scheduler.find("pill0").is_none_or(|task| task.state == State::Failed));
    let waited = hub.scheduler.find("bulk0").expect("an unfinished task");
    assert_eq!((waited.state, waited.reclaims), (State::Ready, 0));
}

#[test]
fn who_waits_is_counted_when_something_else_than_a_last_try_ran_beside_it() {
    let mut hub = Hub::in_memory();
    create(&mut hub, ["parent", "child"].map(String::from));
    let mut pool = Pool::new("w1", 1);
    assert_eq!(pool.steal(&mut hub), 1);
    pool.waiting = 1;
    assert_eq!(pool.steal(&mut hub), 1);
    // It is killed before it could tell.
    pass(&mut hub, 40);
    let reclaims = |name| hub.scheduler.find(name).expect("an unfinished task").reclaims;
    assert_eq!(["parent", "child"].map(reclaims), [1, 1]);
}
