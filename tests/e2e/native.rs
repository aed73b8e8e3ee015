//! A client of the native dialect without any manners: a DEALER, one request after the other or
//! several at a time, never repeated unless a test does so.

use std::cell::Cell;

use dhub_proto::Message;
use dhub_proto::client;
use dhub_proto::find::Target;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;

use crate::PATIENCE;

pub struct Native {
    socket: zmq::Socket,
    last_id: Cell<u64>,
}

impl Native {
    pub fn connect(endpoint: &str) -> Self {
        Self::to(&Target::plain(endpoint))
    }

    /// With a key, if the hub wants one.
    pub fn to(target: &Target) -> Self {
        let socket = client::open(&zmq::Context::new(), target, zmq::DEALER).expect("a socket");
        socket.set_rcvtimeo(PATIENCE.as_millis() as i32).expect("an option");
        socket.connect(&target.endpoint).expect("an endpoint");
        Self { socket, last_id: Cell::new(0) }
    }

    /// Sends a request; its number.
    #[track_caller]
    pub fn send(&self, body: Body) -> u64 {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        self.send_parts(&[
            &[],
            &Request { id, body: Some(body), ..Request::default() }.encode_to_vec(),
        ]);
        id
    }

    #[track_caller]
    pub fn send_parts(&self, parts: &[&[u8]]) {
        self.socket.send_multipart(parts, 0).expect("to send");
    }

    /// The next reply, to whatever request.
    #[track_caller]
    pub fn receive(&self) -> Reply {
        let parts = self.socket.recv_multipart(0).expect("a reply");
        Reply::decode(parts.last().expect("a part").as_slice()).expect("a Reply")
    }

    /// Takes a reply without reading it: what cannot be read is answered in the other dialect.
    #[track_caller]
    pub fn skip_reply(&self) {
        self.socket.recv_multipart(0).expect("a reply");
    }

    /// Is a reply there, or does one come within this time?
    pub fn has_reply(&self, ms: i64) -> bool {
        self.socket.poll(zmq::POLLIN, ms).expect("a socket") > 0
    }

    #[track_caller]
    pub fn ask(&self, body: Body) -> Answer {
        let id = self.send(body);
        let reply = self.receive();
        assert_eq!(reply.id, id, "{reply:?}");
        reply.body.expect("a reply with a body")
    }

    #[track_caller]
    pub fn error(&self, body: Body) -> (ErrorCode, Error) {
        match self.ask(body) {
            Answer::Error(error) => (error.code(), error),
            other => panic!("no error: {other:?}"),
        }
    }

    #[track_caller]
    pub fn create(&self, tasks: &[Task]) -> Created {
        match self.ask(Body::Create(Create { tasks: tasks.to_vec() })) {
            Answer::Created(created) => created,
            other => panic!("not created: {other:?}"),
        }
    }

    #[track_caller]
    pub fn steal(&self, steal: Steal) -> Stolen {
        match self.ask(Body::Steal(steal)) {
            Answer::Stolen(stolen) => stolen,
            other => panic!("not stolen: {other:?}"),
        }
    }

    /// One task for this worker, now.
    #[track_caller]
    pub fn steal_one(&self, who: &Worker) -> Lease {
        let steal = Steal { worker: Some(who.clone()), n: 1, ..Steal::default() };
        let stolen = self.steal(steal);
        stolen.leases.into_iter().next().expect("a task")
    }

    #[track_caller]
    pub fn complete(&self, complete: Complete) -> Completed {
        match self.ask(Body::Complete(complete)) {
            Answer::Completed(completed) => completed,
            other => panic!("not completed: {other:?}"),
        }
    }

    /// What was refused of these outcomes.
    #[track_caller]
    pub fn report(&self, who: &Worker, outcomes: Vec<Outcome>) -> Vec<ErrorCode> {
        let complete = Complete { worker: Some(who.clone()), outcomes, ..Complete::default() };
        self.complete(complete).refused.iter().map(Refused::code).collect()
    }

    #[track_caller]
    pub fn status(&self) -> StatusReport {
        match self.ask(Body::Status(Status {})) {
            Answer::Status(status) => status,
            other => panic!("no status: {other:?}"),
        }
    }

    #[track_caller]
    pub fn counts(&self) -> Counts {
        self.status().counts.expect("counts")
    }

    #[track_caller]
    pub fn show(&self, name: &str) -> Shown {
        match self.ask(Body::Show(Show { name: name.into() })) {
            Answer::Shown(shown) => shown,
            other => panic!("not shown: {other:?}"),
        }
    }

    #[track_caller]
    pub fn state(&self, name: &str) -> State {
        self.show(name).task.expect("a task").state()
    }
}

pub fn task(name: &str, needs: &[&str]) -> Task {
    let needs = needs.iter().map(|&need| need.to_owned()).collect();
    Task { name: name.into(), needs, ..Task::default() }
}

/// Known by an id of 16 such bytes, so it is expected to heartbeat.
pub fn worker(byte: u8) -> Worker {
    Worker { name: format!("node{byte}:1"), id: vec![byte; 16], ..Worker::default() }
}

/// Known by its name.
pub fn plain_worker(name: &str) -> Worker {
    Worker { name: name.into(), ..Worker::default() }
}

pub fn outcome_done(lease: &Lease) -> Outcome {
    let (name, attempt) = (lease.name.clone(), lease.attempt);
    Outcome { name, attempt, result: Result::Done.into(), ..Outcome::default() }
}

pub fn outcome_failed(lease: &Lease) -> Outcome {
    Outcome { result: Result::Failed.into(), exit_code: 3, ..outcome_done(lease) }
}
