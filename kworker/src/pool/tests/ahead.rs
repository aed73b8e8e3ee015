//! Two pools at a hub that is some milliseconds away, in virtual time: who holds what, and when
//! slots wait.

use super::*;

enum Event {
    ToHub(usize, Ask),
    ToPool(usize, Asked, Reply),
    End(usize, String),
}

enum Reply {
    Stolen(Stolen),
    Completed(Stolen),
    Released,
}

/// The hub, the way to it, and the processes.
struct World {
    start: Instant,
    now: Instant,
    one_way: Duration,
    pools: Vec<Pool>,
    events: Vec<(Instant, Event)>,
    /// Names of ready tasks; what comes after the dot is the length in ms.
    ready: VecDeque<String>,
    parked: Vec<(usize, u32)>,
    attempts: HashMap<String, u32>,
    done: usize,
    /// How long tasks lay in one pool while a slot of another one had nothing.
    hoarded: Duration,
    /// How long slots had nothing although there were tasks.
    idle: Duration,
}

impl World {
    fn new(ahead: Ahead, one_way_ms: u64, lengths_ms: &[u64]) -> Self {
        let now = Instant::now();
        let pool = || {
            let worker = Worker { name: "w".into(), id: vec![7; 16], ..Worker::default() };
            Pool::new(worker, 2, ahead, true, Limits::default())
        };
        Self {
            start: now,
            now,
            one_way: Duration::from_millis(one_way_ms),
            pools: vec![pool(), pool()],
            events: Vec::new(),
            ready: lengths_ms.iter().enumerate().map(|(n, ms)| format!("t{n}.{ms}")).collect(),
            parked: Vec::new(),
            attempts: HashMap::new(),
            done: 0,
            hoarded: Duration::ZERO,
            idle: Duration::ZERO,
        }
    }

    /// Until all tasks are done. Returns how long that took.
    fn run(&mut self) -> Duration {
        let tasks = self.ready.len();
        while self.done < tasks {
            for who in 0..self.pools.len() {
                self.step(who);
            }
            let times = self.pools.iter().filter_map(|pool| pool.next_ask_at(self.now));
            let next = times.chain(self.events.iter().map(|&(at, _)| at)).min().expect("an event");
            self.pass(next);
            let due = self.events.extract_if(.., |(at, _)| *at <= next).collect::<Vec<_>>();
            due.into_iter().for_each(|(_, event)| self.happens(event));
        }
        self.now - self.start
    }

    fn step(&mut self, who: usize) {
        while let Some(lease) = self.pools[who].next_start(self.now) {
            let ms = lease.name.split_once('.').expect("a length").1.parse().expect("a number");
            let end = self.now + Duration::from_millis(ms);
            self.events.push((end, Event::End(who, lease.name)));
        }
        while let Some(ask) = self.pools[who].next_ask(self.now) {
            self.events.push((self.now + self.one_way, Event::ToHub(who, ask)));
        }
    }

    fn pass(&mut self, next: Instant) {
        let idle: usize = self.pools.iter().map(|pool| pool.slots - pool.running.len()).sum();
        let queued: usize = self.pools.iter().map(|pool| pool.queue.len()).sum();
        let time = next - self.now;
        if idle > 0 && queued > 0 {
            self.hoarded += time;
        }
        self.idle += time * idle.min(self.ready.len() + queued) as u32;
        self.now = next;
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::End(who, name) => {
                let outcome = done(&name, self.attempts[&name]);
                self.pools[who].ended(&name, outcome, self.now);
            }
            Event::ToHub(who, ask) => self.asked(who, ask),
            Event::ToPool(who, asked, reply) => {
                let pool = &mut self.pools[who];
                match reply {
                    Reply::Stolen(stolen) => pool.parked_answered(asked, stolen, self.now),
                    Reply::Released => pool.released(),
                    Reply::Completed(stolen) => {
                        let stolen = Some(stolen);
                        pool.completed(Completed { stolen, refused: vec![] }, self.now);
                    }
                }
            }
        }
    }

    fn asked(&mut self, who: usize, ask: Ask) {
        let reply = match ask.body {
            Body::Complete(complete) => {
                self.done += complete.outcomes.len();
                Some(Reply::Completed(self.steal(complete.want)))
            }
            Body::Release(release) => {
                release.attempts.into_iter().for_each(|it| self.ready.push_front(it.name));
                Some(Reply::Released)
            }
            Body::Steal(steal) => {
                self.parked.retain(|&(other, _)| other != who);
                self.parked.push((who, steal.n));
                None
            }
            other => panic!("{other:?}"),
        };
        if let Some(reply) = reply {
            self.events.push((self.now + self.one_way, Event::ToPool(who, ask.asked, reply)));
        }
        while let Some(at) = self.parked.iter().position(|&(_, n)| n > 0)
            && !self.ready.is_empty()
        {
            let (who, n) = self.parked.remove(at);
            let reply = Reply::Stolen(self.steal(n));
            self.events.push((self.now + self.one_way, Event::ToPool(who, Asked::Steal, reply)));
        }
    }

    fn steal(&mut self, n: u32) -> Stolen {
        let mut stolen = Stolen { phase: Phase::Active.into(), ..Stolen::default() };
        for name in self.ready.drain(..self.ready.len().min(n as usize)) {
            let attempt = self.attempts.entry(name.clone()).or_default();
            *attempt += 1;
            stolen.leases.push(lease(&name, *attempt));
        }
        stolen
    }
}

#[test]
fn long_tasks_are_not_hoarded_while_a_slot_elsewhere_idles() {
    // Nine on four slots: three rounds, the last of one task.
    let mut world = World::new(Ahead::Measured, 5, &[10_000; 9]);
    let took = world.run();
    assert_eq!(world.hoarded, Duration::ZERO);
    assert!(took < Duration::from_millis(30_500), "{took:?}");
    // As it would be otherwise.
    let mut world = World::new(Ahead::Fixed(2), 5, &[10_000; 5]);
    world.run();
    assert!(world.hoarded > Duration::from_secs(9), "{:?}", world.hoarded);
}

#[test]
fn for_short_tasks_no_slot_waits_for_the_network() {
    let (lengths, ideal) = ([5; 4000], Duration::from_secs(5));
    let mut world = World::new(Ahead::Measured, 5, &lengths);
    let took = world.run();
    assert!(took < ideal + ideal / 20, "{took:?}");
    // In all of the slots together: before the first has ended, and at the very end.
    assert!(world.idle < Duration::from_millis(200), "{:?}", world.idle);
    let took = World::new(Ahead::Fixed(0), 5, &lengths).run();
    assert!(took > ideal * 2, "{took:?}");
}

#[test]
fn what_was_stolen_ahead_goes_back_when_tasks_turn_long() {
    // Short ones, then five long ones for four slots.
    let lengths = [[2; 1000].as_slice(), &[60_000; 8]].concat();
    let mut world = World::new(Ahead::Measured, 5, &lengths);
    let took = world.run();
    assert!(world.hoarded < Duration::from_millis(1500), "{:?}", world.hoarded);
    assert!(took < Duration::from_secs(123), "{took:?}");
    let took = World::new(Ahead::Fixed(40), 5, &lengths).run();
    assert!(took > Duration::from_secs(150), "{took:?}");
}

#[test]
fn tasks_that_come_after_a_pause_are_shared() {
    // The hub has nothing while both pools wait with what the short ones taught them.
    let mut world = World::new(Ahead::Measured, 5, &[2; 1000]);
    world.run();
    for who in [0, 1] {
        world.step(who);
    }
    let pause = world.now + Duration::from_secs(5);
    while world.now < pause {
        let times = world.pools.iter().filter_map(|pool| pool.next_ask_at(world.now));
        let next = times.chain(world.events.iter().map(|&(at, _)| at)).chain([pause]).min();
        world.pass(next.expect("a time"));
        let now = world.now;
        let due = world.events.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        due.into_iter().for_each(|(_, event)| world.happens(event));
        (0..2).for_each(|who| world.step(who));
    }
    let wanted: Vec<u32> = world.parked.iter().map(|&(_, n)| n).collect();
    assert_eq!(wanted, [2, 2], "as many as slots");
}
