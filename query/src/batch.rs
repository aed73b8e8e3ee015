//! Create requests made straight from a task file.
//!
//! A million tasks are not copied into messages first: each is written once, as protobuf, into
//! the request that carries it.

use dhub_proto::client;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::taskfile::{TaskFile, Template};

/// Tasks in one request. Enough that a commit pays; few enough that a hub is never busy with one
/// request for long.
const TASKS: usize = 2000;
/// Size from which on a request is not filled further.
const BYTES: usize = 1024 * 1024;

/// Numbers of the fields in hub.proto.
mod field {
    pub const REQUEST_ID: u32 = 8;
    pub const REQUEST_TOKEN: u32 = 9;
    pub const REQUEST_CREATE: u32 = 11;
    pub const CREATE_TASKS: u32 = 1;
    pub const TASK_NAME: u32 = 1;
    pub const TASK_NEEDS: u32 = 2;
    pub const TASK_COMMAND: u32 = 3;
    pub const TASK_PRIORITY: u32 = 4;
    pub const TASK_RETRIES: u32 = 5;
    pub const TASK_TIME_LIMIT_MS: u32 = 6;
    pub const TASK_DIR: u32 = 7;
    pub const TASK_ENV: u32 = 8;
    pub const TASK_STDIN: u32 = 9;
}

/// What a task has when its line does not say otherwise.
#[derive(Debug, Default)]
pub struct Defaults {
    pub template: Option<Template>,
    pub priority: i32,
    pub retries: u32,
    pub time_limit_ms: u64,
    pub dir: String,
    /// NAME=VALUE
    pub env: Vec<String>,
}

/// One request, ready to be sent any number of times.
pub struct Batch {
    pub id: u64,
    pub tasks: u64,
    pub frame: Vec<u8>,
}

/// The requests that add the tasks, in this order.
pub struct Batches<'a, I> {
    file: &'a TaskFile<'a>,
    defaults: &'a Defaults,
    order: I,
    last_id: u64,
    /// Kept between tasks, for its memory.
    task: Vec<u8>,
    command: String,
}

impl<'a, I: Iterator<Item = u32>> Batches<'a, I> {
    pub fn new(file: &'a TaskFile<'a>, defaults: &'a Defaults, order: I) -> Self {
        Self { file, defaults, order, last_id: 0, task: Vec::new(), command: String::new() }
    }

    fn encode(&mut self, task: u32) {
        let details = self.file.details(task);
        let own = details.map_or("", |details| &*details.command);
        let command = match &self.defaults.template {
            Some(template) if own.is_empty() => {
                template.fill(self.file.name(task), &mut self.command);
                &self.command
            }
            _ => own,
        };
        let priority = details.and_then(|it| it.priority).unwrap_or(self.defaults.priority);
        let retries = details.and_then(|it| it.retries).unwrap_or(self.defaults.retries);
        let time_limit = details.and_then(|it| it.time_limit_ms);
        let buffer = &mut self.task;
        buffer.clear();
        text(buffer, field::TASK_NAME, self.file.name(task));
        for need in self.file.needs(task) {
            text(buffer, field::TASK_NEEDS, need);
        }
        if !command.is_empty() {
            text(buffer, field::TASK_COMMAND, command);
        }
        // Negative numbers travel as 64 bits, sign extended.
        number(buffer, field::TASK_PRIORITY, i64::from(priority) as u64);
        number(buffer, field::TASK_RETRIES, retries.into());
        let time_limit = time_limit.unwrap_or(self.defaults.time_limit_ms);
        number(buffer, field::TASK_TIME_LIMIT_MS, time_limit);
        let own = details.and_then(|it| it.surroundings.as_deref());
        let dir = own.and_then(|it| it.dir.as_deref()).unwrap_or(&self.defaults.dir);
        if !dir.is_empty() {
            text(buffer, field::TASK_DIR, dir);
        }
        let own_env = own.map_or(&[][..], |it| &it.env);
        let variable = |entry: &String| entry.find('=').map(|end| entry[..=end].to_owned());
        for entry in &self.defaults.env {
            if !own_env.iter().any(|own| variable(own) == variable(entry)) {
                text(buffer, field::TASK_ENV, entry);
            }
        }
        own_env.iter().for_each(|entry| text(buffer, field::TASK_ENV, entry));
        if let Some(stdin) = own.map(|it| &it.stdin).filter(|stdin| !stdin.is_empty()) {
            text(buffer, field::TASK_STDIN, stdin);
        }
    }
}

impl<I: Iterator<Item = u32>> Iterator for Batches<'_, I> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut create = Vec::new();
        let mut tasks = 0;
        while tasks < TASKS && create.len() < BYTES {
            let Some(task) = self.order.next() else { break };
            self.encode(task);
            bytes(&mut create, field::CREATE_TASKS, &self.task);
            tasks += 1;
        }
        if tasks == 0 {
            return None;
        }
        self.last_id += 1;
        let mut frame = Vec::with_capacity(create.len() + 64);
        number(&mut frame, field::REQUEST_ID, self.last_id);
        bytes(&mut frame, field::REQUEST_TOKEN, &client::token());
        bytes(&mut frame, field::REQUEST_CREATE, &create);
        Some(Batch { id: self.last_id, tasks: tasks as u64, frame })
    }
}

fn text(buffer: &mut Vec<u8>, field: u32, text: &str) {
    bytes(buffer, field, text.as_bytes());
}

fn bytes(buffer: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    encode_key(field, WireType::LengthDelimited, buffer);
    encode_varint(bytes.len() as u64, buffer);
    buffer.extend_from_slice(bytes);
}

/// 0 is the default and does not travel.
fn number(buffer: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        encode_key(field, WireType::Varint, buffer);
        encode_varint(value, buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taskfile::Format;
    use dhub_proto::Message;
    use dhub_proto::wire::{Create, Request, Task, request};

    fn decoded(file: &TaskFile, defaults: &Defaults) -> Vec<Request> {
        let order = 0..file.len() as u32;
        let batches = Batches::new(file, defaults, order);
        batches.map(|it| Request::decode(it.frame.as_slice()).unwrap()).collect()
    }

    #[test]
    fn what_is_written_by_hand_is_what_the_hub_reads() {
        let text = "{\"name\":\"a\",\"needs\":[\"b\",\"c\"],\"priority\":-2,\"time_limit\":2}\n\
                    {\"name\":\"b c\",\"command\":\"./b\",\"priority\":0,\"retries\":0,\
                    \"dir\":\"/b\",\"env\":{\"B\":\"=\",\"A\":\"\"},\"stdin\":\"in\\n\"}";
        let file = TaskFile::parse("t", text.as_bytes(), Format::Json).unwrap();
        let defaults = Defaults {
            template: Some(Template::new("./sim {}")),
            priority: 7,
            retries: 3,
            time_limit_ms: 9000,
            dir: "/a".into(),
            env: vec!["A=1".into(), "AB=2".into()],
        };
        let tasks = vec![
            Task {
                name: "a".into(),
                needs: vec!["b".into(), "c".into()],
                command: "./sim a".into(),
                priority: -2,
                retries: 3,
                time_limit_ms: 2000,
                dir: "/a".into(),
                env: vec!["A=1".into(), "AB=2".into()],
                stdin: Vec::new(),
            },
            Task {
                name: "b c".into(),
                needs: Vec::new(),
                command: "./b".into(),
                priority: 0,
                retries: 0,
                time_limit_ms: 9000,
                dir: "/b".into(),
                env: vec!["AB=2".into(), "A=".into(), "B==".into()],
                stdin: b"in\n".to_vec(),
            },
        ];
        let expected = Request {
            id: 1,
            body: Some(request::Body::Create(Create { tasks })),
            ..Request::default()
        };
        let mut requests = decoded(&file, &defaults);
        assert_eq!(std::mem::take(&mut requests[0].token).len(), 16);
        assert_eq!(requests, [expected]);
    }

    #[test]
    fn a_long_file_becomes_several_requests() {
        let text: String = (0..TASKS * 2 + 1).map(|n| format!("{n}\n")).collect();
        let file = TaskFile::parse("t", text.as_bytes(), Format::Lines).unwrap();
        let requests = decoded(&file, &Defaults::default());
        let count = |request: &Request| match &request.body {
            Some(request::Body::Create(create)) => create.tasks.len(),
            _ => 0,
        };
        assert_eq!(requests.iter().map(|it| it.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(requests.iter().map(count).collect::<Vec<_>>(), [TASKS, TASKS, 1]);
    }
}
