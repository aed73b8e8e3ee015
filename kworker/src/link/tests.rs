use super::*;
use wire::{reply, request};

const TERM: Duration = Duration::from_secs(30);
const HELLO: request::Body = request::Body::Hello(wire::Hello { version: String::new() });

/// A hub of which nothing works but its socket.
struct Hub {
    context: Context,
    router: zmq::Socket,
    endpoint: String,
}

impl Hub {
    fn new(endpoint: &str) -> Self {
        let context = Context::new();
        let router = context.socket(zmq::ROUTER).unwrap();
        router.set_linger(0).unwrap();
        router.set_rcvtimeo(10_000).unwrap();
        router.bind(endpoint).unwrap();
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        Self { context, router, endpoint }
    }

    fn receive(&self) -> (Vec<u8>, u64) {
        let mut parts = self.router.recv_multipart(0).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts[1].is_empty());
        let request = wire::Request::decode(parts[2].as_slice()).unwrap();
        (parts.swap_remove(0), request.id)
    }

    fn answer(&self, to: &[u8], id: u64) {
        let body = Some(reply::Body::Welcome(wire::Welcome::default()));
        let reply = wire::Reply { id, body }.encode_to_vec();
        self.router.send_multipart([to, &[], &reply], 0).unwrap();
    }
}

fn hello(asked: Asked) -> Ask {
    Ask::now(asked, HELLO)
}

/// Waits for an answer in real time; `early` makes the link believe that more has passed.
fn await_answer(link: &mut Link, early: Duration) -> Asked {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let now = Instant::now() + early;
        if let Some(answer) = link.answer(now).unwrap() {
            return answer.asked;
        }
        link.tick(now).unwrap();
        zmq::poll(&mut link.poll_items(), 50).unwrap();
    }
    panic!("no answer");
}

#[test]
fn a_request_without_answer_is_sent_again_over_a_new_connection() {
    let hub = Hub::new("tcp://127.0.0.1:*");
    let start = Instant::now();
    let mut link = Link::new(Target::plain(&hub.endpoint), "", TERM, start).unwrap();
    link.ask(hello(Asked::Hello), start);
    link.ask(hello(Asked::Release), start);
    let (first, id) = hub.receive();
    assert_eq!(hub.receive(), (first.clone(), id + 1));
    assert!(link.answer(start).unwrap().is_none());
    assert!(!link.is_silent());

    let late = start + PATIENCE;
    link.tick(late).unwrap();
    assert!(link.is_silent());
    assert_eq!(link.long_silence(late), None);
    assert_eq!(link.long_silence(late + PATIENCE), Some(start));

    let (second, again) = hub.receive();
    assert_ne!(first, second);
    assert_eq!(again, id);
    assert_eq!(hub.receive(), (second.clone(), id + 1));
    hub.answer(&second, again);
    hub.answer(&second, again + 1);
    assert_eq!(await_answer(&mut link, PATIENCE), Asked::Hello);
    assert_eq!(await_answer(&mut link, PATIENCE), Asked::Release);
    assert!(!link.is_silent());
    assert_eq!(link.next_timeout(), None);
}

#[test]
fn a_hub_that_comes_back_is_asked_again_at_once() {
    let hub = Hub::new("tcp://127.0.0.1:*");
    let mut link = Link::new(Target::plain(&hub.endpoint), "", TERM, Instant::now()).unwrap();
    let mut ask = hello(Asked::Steal);
    ask.parked = Duration::from_secs(3600);
    link.ask(ask, Instant::now());
    let (_, id) = hub.receive();
    while link.requests.up.is_none() {
        link.tick(Instant::now()).unwrap();
    }
    let Hub { mut context, router, endpoint } = hub;
    drop(router);
    context.destroy().unwrap();

    let again = loop {
        // The system may hold the port for a moment.
        let context = Context::new();
        let router = context.socket(zmq::ROUTER).unwrap();
        if router.bind(&endpoint).is_ok() {
            router.set_rcvtimeo(50).unwrap();
            break Hub { context, router, endpoint };
        }
    };
    let until = Instant::now() + Duration::from_secs(60);
    let to = loop {
        assert!(Instant::now() < until);
        link.tick(Instant::now()).unwrap();
        if let Ok(mut parts) = again.router.recv_multipart(0) {
            break parts.swap_remove(0);
        }
    };
    assert!(link.is_silent());
    again.answer(&to, id);
    assert_eq!(await_answer(&mut link, Duration::ZERO), Asked::Steal);
    assert!(!link.is_silent());
}

#[test]
fn an_answer_counts_once_and_a_replaced_request_is_not_repeated() {
    let hub = Hub::new("tcp://127.0.0.1:*");
    let start = Instant::now();
    let mut link = Link::new(Target::plain(&hub.endpoint), "", TERM, start).unwrap();
    link.ask(hello(Asked::Listen), start);
    let mut ask = hello(Asked::Steal);
    ask.replaces = true;
    link.ask(ask, start);
    let (to, first) = hub.receive();
    let (_, second) = hub.receive();
    assert!(!link.is_asked(Asked::Listen));
    // The hub was faster than the replacement.
    for id in [first, first, second, second] {
        hub.answer(&to, id);
    }
    assert_eq!(await_answer(&mut link, Duration::ZERO), Asked::Listen);
    assert_eq!(await_answer(&mut link, Duration::ZERO), Asked::Steal);
    std::thread::sleep(Duration::from_millis(100));
    assert!(link.answer(start).unwrap().is_none());
}

#[test]
fn answers_to_all_that_was_replaced_count() {
    let hub = Hub::new("tcp://127.0.0.1:*");
    let start = Instant::now();
    let mut link = Link::new(Target::plain(&hub.endpoint), "", TERM, start).unwrap();
    // A pool that changes its mind twice before the hub answers.
    for asked in [Asked::Steal, Asked::Listen, Asked::Steal] {
        let mut ask = hello(asked);
        ask.replaces = true;
        link.ask(ask, start);
    }
    let asked: Vec<_> = (0..3).map(|_| hub.receive()).collect();
    for (to, id) in &asked {
        hub.answer(to, *id);
    }
    let heard: Vec<_> = (0..3).map(|_| await_answer(&mut link, Duration::ZERO)).collect();
    assert_eq!(heard, [Asked::Steal, Asked::Listen, Asked::Steal]);
}

/// Lets time pass until this is so.
fn await_that(link: &mut Link, mut is_so: impl FnMut(&mut Link) -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so(link) {
        assert!(Instant::now() < until);
        link.tick(Instant::now()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// And only while requests get through.
#[test]
fn reports_go_out_only_when_somebody_takes_them() {
    let context = Context::new();
    let pull = context.socket(zmq::PULL).unwrap();
    pull.set_rcvtimeo(10_000).unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = pull.get_last_endpoint().unwrap().unwrap();
    let report = format!("tcp://:{}", endpoint.rsplit_once(':').unwrap().1);
    let nobody = Target::plain("tcp://127.0.0.1:1");
    let mut deaf = Link::new(nobody, &report, TERM, Instant::now()).unwrap();
    deaf.tick(Instant::now()).unwrap();
    assert!(deaf.reports.is_none() && !deaf.report(&wire::Report::default()));
    let hub = Hub::new("tcp://127.0.0.1:*");
    let target = Target::plain(&hub.endpoint);
    let mut link = Link::new(target, &report, TERM, Instant::now()).unwrap();
    await_that(&mut link, |link| link.report(&wire::Report::default()));
    assert!(pull.recv_bytes(0).unwrap().is_empty());
    drop(hub);
    await_that(&mut link, |link| link.reports.is_none());
}

#[test]
fn a_place_is_left_to_others_and_what_is_asked_meanwhile_is_sent_at_the_return() {
    let hub = Hub::new("tcp://127.0.0.1:*");
    let start = Instant::now();
    let mut link = Link::new(Target::plain(&hub.endpoint), "", TERM, start).unwrap();
    link.ask(hello(Asked::Hello), start);
    let (to, id) = hub.receive();
    hub.answer(&to, id);
    assert_eq!(await_answer(&mut link, Duration::ZERO), Asked::Hello);
    let until = Instant::now() + Duration::from_secs(3600);
    link.go_away(until).unwrap();
    link.ask(hello(Asked::Steal), Instant::now());
    // The connection is gone.
    let mut gone = Err(zmq::Error::EHOSTUNREACH);
    hub.router.set_router_mandatory(true).unwrap();
    await_that(&mut link, |_| {
        gone = hub.router.send_multipart([to.as_slice(), &[], &[]], 0);
        gone.is_err()
    });
    assert_eq!(gone, Err(zmq::Error::EHOSTUNREACH));
    assert!(!link.is_silent());
    assert_eq!(link.next_timeout(), Some(until));
    link.tick(until).unwrap();
    let (to, id) = hub.receive();
    hub.answer(&to, id);
    assert_eq!(await_answer(&mut link, Duration::ZERO), Asked::Steal);
}
