//! The hub as the verbs see it: ask, and get the reply or a `Failure`.

use std::time::Duration;

use dhub_proto::client::{Client, ClientError};
use dhub_proto::options::{HubOptions, TIMEOUT};
use dhub_proto::wire::{
    Count, Export, ExportedTask, Hello, List, Listed, Selection, Welcome, reply, request,
};

use crate::failure::Failure;
use crate::run::{Builder, Run};

/// Tasks asked for at once.
pub const PAGE_TASKS: u32 = 4_000;

pub struct Hub {
    client: Client,
    timeout: Duration,
    given_timeout: Option<Duration>,
}

impl Hub {
    /// Chooses the hub; a hub that is down shows at the first request.
    pub fn find(options: &HubOptions) -> Result<Self, Failure> {
        let (timeout, given_timeout) = (options.timeout(), options.given_timeout);
        Ok(Self { client: Client::new(options.find()?, timeout), timeout, given_timeout })
    }

    /// A further connection, for another thread.
    pub fn another(&self) -> Self {
        let client = Client::new(self.client.target().clone(), self.timeout);
        Self { client, timeout: self.timeout, given_timeout: self.given_timeout }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What somebody said: for verbs that wait it is also how long.
    pub fn given_timeout(&self) -> Option<Duration> {
        self.given_timeout
    }

    /// The given time-out is how long to wait, by the caller's clock: a short one says nothing of the time that an
    /// answer may take.
    pub fn answers_as_usual(&mut self) {
        if self.timeout < TIMEOUT {
            self.timeout = TIMEOUT;
            self.client = Client::new(self.client.target().clone(), TIMEOUT);
        }
    }

    /// For requests that the hub answers at once.
    pub fn ask(&mut self, body: request::Body) -> Result<reply::Body, Failure> {
        Ok(self.client.request(body, Duration::ZERO)?)
    }

    /// For requests that the hub may keep for a while.
    pub fn ask_parked(
        &mut self,
        body: request::Body,
        parked: Duration,
    ) -> Result<reply::Body, ClientError> {
        self.client.request(body, parked)
    }

    /// Its version, its time-outs and its limits.
    pub fn welcome(&mut self) -> Result<Welcome, Failure> {
        let hello = Hello { version: dhub_proto::VERSION.into() };
        match self.ask(request::Body::Hello(hello))? {
            reply::Body::Welcome(welcome) => Ok(welcome),
            _ => Err(self.unexpected()),
        }
    }

    /// All pages of a list.
    pub fn list(
        &mut self,
        selection: Selection,
        mut each: impl FnMut(Listed) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let list =
                List { selection: Some(selection.clone()), limit: PAGE_TASKS, after, before: 0 };
            let page = match self.ask(request::Body::List(list))? {
                reply::Body::Listed(page) => page,
                _ => return Err(self.unexpected()),
            };
            after = page.next;
            each(page)?;
            if after == 0 {
                return Ok(());
            }
        }
    }

    /// Names that are not in the hub, where patterns are asked for beside them: then the hub does not say.
    pub fn unknown_names(&mut self, selection: &Selection) -> Result<Vec<String>, Failure> {
        if selection.names.is_empty() || selection.patterns.is_empty() {
            return Ok(Vec::new());
        }
        let selection = Selection { names: selection.names.clone(), ..Selection::default() };
        let count = Count { selection: Some(selection) };
        match self.ask(request::Body::Count(count))? {
            reply::Body::Counted(counted) => Ok(counted.unknown),
            _ => Err(self.unexpected()),
        }
    }

    /// Every task with its attempts, in the order of their ids.
    pub fn export(
        &mut self,
        brief: bool,
        mut each: impl FnMut(ExportedTask) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut ask = Export { brief, ..Export::default() };
        // One whose attempts did not fit on its page.
        let mut cut: Option<ExportedTask> = None;
        loop {
            let mut page = match self.ask(request::Body::Export(ask.clone()))? {
                reply::Body::Exported(page) => page,
                _ => return Err(self.unexpected()),
            };
            if let (Some(begun), Some(rest)) = (cut.as_mut(), page.tasks.first_mut())
                && begun.id == rest.id
            {
                begun.attempts.append(&mut rest.attempts);
                std::mem::swap(&mut begun.attempts, &mut rest.attempts);
                cut = None;
            }
            let last = if page.next_attempt > 0 { page.tasks.pop() } else { None };
            for task in cut.take().into_iter().chain(page.tasks) {
                each(task)?;
            }
            cut = last;
            (ask.after, ask.after_attempt) = (page.next, page.next_attempt);
            if page.next == 0 {
                return Ok(());
            }
        }
    }

    /// All that happened.
    pub fn run(&mut self) -> Result<Run, Failure> {
        let mut builder = Builder::default();
        self.export(true, |task| {
            builder.add(task);
            Ok(())
        })?;
        Ok(builder.finish())
    }

    /// A reply of another kind than was asked for.
    pub fn unexpected(&self) -> Failure {
        ClientError::Unexpected { endpoint: self.client.endpoint().to_owned() }.into()
    }
}

/// `ask!(hub, List(request) => Listed)`: asks, and takes the reply of that kind.
macro_rules! ask {
    ($hub:expr, $request:ident($body:expr) => $reply:ident) => {
        match $hub.ask(dhub_proto::wire::request::Body::$request($body))? {
            dhub_proto::wire::reply::Body::$reply(reply) => reply,
            _ => return Err($hub.unexpected()),
        }
    };
}
pub(crate) use ask;
