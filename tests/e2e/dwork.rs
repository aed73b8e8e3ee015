//! A program written for dwork, as far as its frames go: a REQ socket and one QueryMsg each way.

use dhub_proto::Message;
use dhub_proto::client;
use dhub_proto::dwork::query_msg::Type;
use dhub_proto::dwork::{Dep, QueryMsg, TaskMsg};
use dhub_proto::find::Target;

use crate::PATIENCE;

pub struct Dwork {
    socket: zmq::Socket,
}

impl Dwork {
    pub fn connect(endpoint: &str) -> Self {
        Self::to(&Target::plain(endpoint))
    }

    /// With a key, if the hub wants one.
    pub fn to(target: &Target) -> Self {
        let socket = client::open(&zmq::Context::new(), target, zmq::REQ).expect("a socket");
        socket.set_rcvtimeo(PATIENCE.as_millis() as i32).expect("an option");
        socket.connect(&target.endpoint).expect("an endpoint");
        Self { socket }
    }

    #[track_caller]
    pub fn ask(&self, query: &QueryMsg) -> QueryMsg {
        let bytes = self.ask_bytes(&[&query.encode_to_vec()]);
        QueryMsg::decode(bytes.as_slice()).expect("a QueryMsg")
    }

    /// A request of these parts, whatever is in them.
    #[track_caller]
    pub fn ask_bytes(&self, parts: &[&[u8]]) -> Vec<u8> {
        self.socket.send_multipart(parts, 0).expect("to send");
        self.socket.recv_bytes(0).expect("a reply")
    }

    #[track_caller]
    pub fn create(&self, name: &str, needs: &[&str]) -> Type {
        let task = vec![dwork_task(name, needs)];
        self.ask(&QueryMsg { task, ..dwork_reply(Type::Create) }).r#type()
    }

    /// The names of the stolen tasks; an answer without tasks is the error.
    #[track_caller]
    pub fn steal(&self, worker: &str, n: i32) -> Result<Vec<String>, Type> {
        let query = QueryMsg { n: Some(n), ..location(Type::Steal, worker) };
        let reply = self.ask(&query);
        match reply.r#type() {
            Type::Transfer => Ok(names_of(&reply)),
            other => Err(other),
        }
    }

    #[track_caller]
    pub fn complete(&self, worker: &str, names: &[&str]) -> QueryMsg {
        let task = names.iter().map(|name| dwork_task(name, &[])).collect();
        self.ask(&QueryMsg { task, ..location(Type::Complete, worker) })
    }

    /// How many tasks are ready, and what it says.
    #[track_caller]
    pub fn status(&self) -> (i32, String) {
        let reply = self.ask(&dwork_reply(Type::Ok));
        (reply.n(), reply.name().to_owned())
    }
}

/// A message with nothing but its type.
pub fn dwork_reply(kind: Type) -> QueryMsg {
    QueryMsg { r#type: Some(kind.into()), ..QueryMsg::default() }
}

pub fn location(kind: Type, worker: &str) -> QueryMsg {
    QueryMsg { location: Some(worker.into()), ..dwork_reply(kind) }
}

pub fn dwork_task(name: &str, needs: &[&str]) -> TaskMsg {
    let pred = needs.iter().map(|&need| Dep { name: Some(need.into()), location: None });
    TaskMsg {
        name: Some(name.into()),
        origin: Some("node1".into()),
        pred: pred.collect(),
        ..TaskMsg::default()
    }
}

pub fn names_of(reply: &QueryMsg) -> Vec<String> {
    reply.task.iter().map(|task| task.name().to_owned()).collect()
}
