//! What is a valid request of dwork's dialect, row by row; and which frames are of it at all.

use dhub::dialect::dwork::{Asked, decode, is_dwork};
use dhub::engine::message::*;
use dhub_proto::Message;
use dhub_proto::dwork::query_msg::Type;
use dhub_proto::dwork::{Dep, LogMsg, QueryMsg, TaskMsg, log_msg};
use dhub_proto::limits::{BATCH_TASKS_MAX, NAME_BYTES_MAX, STEAL_TASKS_MAX, WORKER_NAME_BYTES_MAX};
use dhub_proto::wire;

const ALL: [Type; 9] = [
    Type::Create,
    Type::Steal,
    Type::Complete,
    Type::Transfer,
    Type::Lookup,
    Type::NotFound,
    Type::Ok,
    Type::Exit,
    Type::Error,
];

fn query(kind: Type) -> QueryMsg {
    QueryMsg { r#type: Some(kind.into()), ..QueryMsg::default() }
}

fn task(name: &str) -> TaskMsg {
    TaskMsg { name: Some(name.into()), origin: Some("vm".into()), ..TaskMsg::default() }
}

fn dep(name: Option<&str>) -> Dep {
    Dep { name: name.map(String::from), location: None }
}

/// The request with these fields: t asks, n name, N n, l location.
fn with(kind: Type, fields: &str) -> QueryMsg {
    QueryMsg {
        task: if fields.contains('t') { vec![task("a")] } else { Vec::new() },
        name: fields.contains('n').then(|| "name".into()),
        n: fields.contains('N').then_some(2),
        location: fields.contains('l').then(|| "host".into()),
        ..query(kind)
    }
}

fn asked(query: &QueryMsg) -> Option<Asked> {
    let frame = query.encode_to_vec();
    assert!(is_dwork(&frame), "{query:?}");
    decode(&frame)
}

fn request(query: &QueryMsg) -> Request {
    match asked(query) {
        Some(Asked::Request(request)) => request,
        other => panic!("{query:?} asks for {other:?}"),
    }
}

fn host(name: &str) -> Who {
    Who { name: name.into(), ..Who::default() }
}

/// The table of requests: which fields make a type valid. All other combinations are errors.
#[test]
fn each_type_takes_its_fields_and_no_others() {
    let valid = |kind| match kind {
        Type::Create => &["t"][..],
        Type::Steal => &["l", "Nl"],
        Type::Complete | Type::Transfer => &["tl"],
        Type::Ok => &[""],
        Type::Exit => &["l"],
        Type::Lookup | Type::NotFound | Type::Error => &[],
    };
    for kind in ALL {
        for bits in 0..16 {
            let fields: String = ['t', 'n', 'N', 'l']
                .into_iter()
                .enumerate()
                .filter(|(i, _)| bits & (1 << i) != 0)
                .map(|(_, field)| field)
                .collect();
            let is_valid = asked(&with(kind, &fields)).is_some();
            assert_eq!(is_valid, valid(kind).contains(&&*fields), "{kind:?} with '{fields}'");
        }
    }
}

#[test]
fn create_is_a_merge_of_tasks_and_their_pred() {
    let mut b = task("b");
    b.pred = vec![dep(Some("a")), dep(Some("c")), dep(Some("a"))];
    let request = QueryMsg { task: vec![task("a"), b], ..query(Type::Create) };
    let Body::Create { tasks, merge: true } = self::request(&request).body else {
        panic!("not a create");
    };
    let short: Vec<_> = tasks.iter().map(|task| (&*task.name, task.needs.join(" "))).collect();
    assert_eq!(short, [("a", String::new()), ("b", "a c".into())]);
    // What a native Create of the same says, so that the two count as the same.
    let needs: Vec<Name> = vec!["c".into(), "a".into()];
    assert_eq!(tasks[1].definition, dhub::dialect::native::definition(&needs, 0, 0, None));
    assert!(tasks.iter().all(|task| (task.priority, task.retries) == (0, 0)));
}

#[test]
fn steal_takes_one_unless_it_says_more() {
    let n = |n: Option<i32>| {
        let request = QueryMsg { n, ..with(Type::Steal, "l") };
        asked(&request).map(|asked| match asked {
            Asked::Request(Request { ticket: 0, who, body: Body::Steal(steal) }) => {
                assert_eq!(who, host("host"));
                assert_eq!((steal.client, steal.wait_ms, steal.lease_ms), (None, 0, 0));
                steal.n
            }
            other => panic!("not a steal: {other:?}"),
        })
    };
    assert_eq!(n(None), Some(1));
    assert_eq!(n(Some(1)), Some(1));
    assert_eq!(n(Some(STEAL_TASKS_MAX as i32)), Some(STEAL_TASKS_MAX as u32));
    for bad in [0, -1, i32::MIN, STEAL_TASKS_MAX as i32 + 1, i32::MAX] {
        assert_eq!(n(Some(bad)), None, "{bad}");
    }
}

#[test]
fn complete_is_done_for_the_newest_attempt() {
    let request = QueryMsg { task: vec![task("a"), task("b")], ..with(Type::Complete, "l") };
    let request = self::request(&request);
    let Body::Complete { outcomes, want: None } = request.body else {
        panic!("not a complete");
    };
    assert_eq!(request.who, host("host"));
    let outcomes: Vec<_> = outcomes.iter().map(|o| (&*o.name, o.attempt, o.verdict)).collect();
    assert_eq!(outcomes, [("a", 0, Verdict::Done), ("b", 0, Verdict::Done)]);
}

#[test]
fn transfer_releases_and_adds_dependencies() {
    let mut b = task("b");
    b.pred = vec![dep(Some("c"))];
    let request = QueryMsg { task: vec![task("a"), b], ..with(Type::Transfer, "l") };
    let request = self::request(&request);
    let Body::Release { attempts, needs } = request.body else {
        panic!("not a release");
    };
    assert_eq!(request.who, host("host"));
    assert_eq!(
        attempts.iter().map(|a| (&*a.name, a.attempt)).collect::<Vec<_>>(),
        [("a", 0), ("b", 0)]
    );
    assert_eq!(needs, [vec![], vec![Name::from("c")]]);
}

/// The second mention would be refused after the first has been carried out.
#[test]
fn a_task_cannot_be_transferred_twice_at_once() {
    let request = QueryMsg { task: vec![task("a"), task("a")], ..with(Type::Transfer, "l") };
    assert!(asked(&request).is_none());
}

#[test]
fn exit_and_status() {
    let exit = request(&with(Type::Exit, "l"));
    assert_eq!(exit, Request::by(host("host"), Body::Exit));
    assert!(matches!(asked(&query(Type::Ok)), Some(Asked::Status)));
}

/// Required fields of the messages within, which prost does not look at.
#[test]
fn required_fields_are_required() {
    let valid = |task: TaskMsg| {
        ["Create", "Complete", "Transfer"].map(|kind| {
            let (kind, fields) = match kind {
                "Create" => (Type::Create, ""),
                "Complete" => (Type::Complete, "l"),
                _ => (Type::Transfer, "l"),
            };
            asked(&QueryMsg { task: vec![self::task("x"), task.clone()], ..with(kind, fields) })
                .is_some()
        })
    };
    let log = |state: Option<i32>, time| vec![LogMsg { state, time }];
    let stolen = Some(log_msg::State::Stolen.into());
    let whole = TaskMsg {
        pred: vec![dep(Some("p"))],
        succ: vec![Dep { name: Some("s".into()), location: Some("l".into()) }],
        log: log(stolen, Some(1)),
        ..task("a")
    };
    assert_eq!(valid(whole), [true; 3]);
    for (what, task) in [
        ("no name", TaskMsg { name: None, ..task("a") }),
        ("no origin", TaskMsg { origin: None, ..task("a") }),
        ("an empty name", task("")),
        ("a NUL in the name", task("a\0b")),
        ("a long name", task(&"n".repeat(NAME_BYTES_MAX + 1))),
        ("a pred without name", TaskMsg { pred: vec![dep(None)], ..task("a") }),
        ("a succ without name", TaskMsg { succ: vec![dep(None)], ..task("a") }),
        ("a log without state", TaskMsg { log: log(None, Some(1)), ..task("a") }),
        ("a log of no known state", TaskMsg { log: log(Some(99), Some(1)), ..task("a") }),
        ("a log without time", TaskMsg { log: log(stolen, None), ..task("a") }),
    ] {
        assert_eq!(valid(task), [false; 3], "{what}");
    }
    // An origin may be empty, a name as long as the limit.
    assert_eq!(valid(TaskMsg { origin: Some(String::new()), ..task("a") }), [true; 3]);
    assert_eq!(valid(task(&"n".repeat(NAME_BYTES_MAX))), [true; 3]);
    // A pred is the name of a task, where it counts.
    let bad_pred = TaskMsg { pred: vec![dep(Some(""))], ..task("a") };
    let [create, _, transfer] = valid(bad_pred);
    assert_eq!((create, transfer), (false, false));
}

#[test]
fn a_location_is_the_name_of_a_worker() {
    let valid = |location: &str| {
        [Type::Steal, Type::Exit].map(|kind| {
            asked(&QueryMsg { location: Some(location.into()), ..query(kind) }).is_some()
        })
    };
    assert_eq!(valid("h"), [true; 2]);
    assert_eq!(valid(&"h".repeat(WORKER_NAME_BYTES_MAX)), [true; 2]);
    assert_eq!(valid(&"h".repeat(WORKER_NAME_BYTES_MAX + 1)), [false; 2]);
    assert_eq!(valid(""), [false; 2]);
    assert_eq!(valid("a\0b"), [false; 2]);
}

#[test]
fn a_batch_has_a_limit() {
    let create = |n| asked(&QueryMsg { task: vec![task("a"); n], ..query(Type::Create) }).is_some();
    assert!(create(BATCH_TASKS_MAX));
    assert!(!create(BATCH_TASKS_MAX + 1));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let whole = with(Type::Steal, "Nl").encode_to_vec();
    for frame in [
        &b""[..],                        // empty
        b"hello",                        // no protobuf
        &whole[..whole.len() - 1],       // cut off
        &[0x12, 0x00],                   // no type
        &[0x08, 0x63],                   // an unknown type
        &[0x08, 0xff, 0xff],             // a number without end
        &[0x0a, 0x01, 0x00],             // a type that is no number
        &[0x08, 0x06, 0x1a, 0x01, 0xff], // a name that is no UTF-8
        &[0x0f],                         // no such wire type
        &[0x00, 0x00],                   // field 0
    ] {
        assert!(is_dwork(frame), "{frame:x?}");
        assert!(decode(frame).is_none(), "{frame:x?}");
    }
    // Fields that nobody knows are passed over, as protobuf has it.
    let mut more = query(Type::Ok).encode_to_vec();
    more.extend([0x7a, 0x01, 0x78]);
    assert!(decode(&more).is_some());
}

/// Groups within groups: a deep stack must not be a way to stop the hub.
#[test]
fn deep_nesting_is_refused() {
    for start in [0x0b_u8, 0x43, 0x7b] {
        let frame = vec![start; 1_000_000];
        assert!(is_dwork(&frame));
        assert!(decode(&frame).is_none());
    }
}

/// Fields that nobody knows may be groups within groups, as deep as prost takes them.
#[test]
fn groups_nest_as_deep_as_in_prost() {
    // Field 15: groups that begin, then those that end.
    let groups = |depth: usize| [vec![0x7b_u8; depth], vec![0x7c; depth]].concat();
    let inner = |tag: u8, inner: Vec<u8>| {
        let mut bytes = vec![tag << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
        [bytes, inner].concat()
    };
    let named = |more: Vec<u8>| [inner(1, b"a".into()), inner(2, b"b".into()), more].concat();
    let mut taken = 0;
    for depth in 90..110 {
        let task = named(groups(depth));
        let pred = named(inner(4, named(groups(depth))));
        for tasks in
            [[inner(2, named(vec![])), groups(depth)].concat(), inner(2, task), inner(2, pred)]
        {
            let frame = [vec![0x08, 0x00], tasks].concat();
            assert_eq!(decode(&frame).is_some(), QueryMsg::decode(&*frame).is_ok(), "{depth}");
            taken += usize::from(decode(&frame).is_some());
        }
    }
    assert!((20..40).contains(&taken), "{taken}");
}

/// Whatever the recorded programs send is valid, except what was recorded as an error.
#[test]
fn recorded_requests_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/dwork-frames.jsonl");
    let text = std::fs::read_to_string(path).expect("the recorded exchange");
    let field = |line: &str, key: &str| -> Vec<u8> {
        let (_, rest) = line.split_once(&format!("\"{key}\": \"")).expect("the field");
        let (hex, _) = rest.split_once('"').expect("its end");
        let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    let mut count = 0;
    for line in text.lines() {
        let request = field(line, "request");
        let reply = QueryMsg::decode(&*field(line, "reply")).expect("a reply");
        assert!(is_dwork(&request), "{line}");
        let is_error = reply.r#type == Some(Type::Error.into());
        assert_eq!(decode(&request).is_none(), is_error, "{line}");
        count += 1;
    }
    assert!(count > 10);
}

/// Native requests start at field 8.
#[test]
fn native_requests_are_not_of_this_dialect() {
    use wire::request::Body;
    let worker = || Some(wire::Worker { name: "w".into(), id: vec![1; 16], ..Default::default() });
    let bodies = [
        Body::Hello(wire::Hello { version: "1".into() }),
        Body::Create(wire::Create {
            tasks: vec![wire::Task { name: "a".into(), ..Default::default() }],
        }),
        Body::Steal(wire::Steal { worker: worker(), n: 1, ..Default::default() }),
        Body::Complete(wire::Complete { worker: worker(), ..Default::default() }),
        Body::Release(wire::Release { worker: worker(), attempts: vec![] }),
        Body::Heartbeat(wire::Heartbeat { worker: worker(), ..Default::default() }),
        Body::Exit(wire::Exit { worker: worker() }),
        Body::Cancel(wire::Cancel::default()),
        Body::Retry(wire::Retry::default()),
        Body::Status(wire::Status {}),
        Body::List(wire::List::default()),
        Body::Show(wire::Show { name: "a".into() }),
        Body::Wait(wire::Wait { wait_ms: 1, ..Default::default() }),
        Body::Shutdown(wire::Shutdown {}),
    ];
    for body in bodies {
        for id in [0, 1, u64::MAX] {
            let request =
                wire::Request { id, body: Some(body.clone()), ..wire::Request::default() };
            let mut frame = request.encode_to_vec();
            assert!(!is_dwork(&frame), "{request:?}");
            // A later version may add fields; none of them below 8.
            frame.extend([0xfa, 0x3f, 0x00]);
            assert!(!is_dwork(&frame), "{request:?}");
            // One field of dwork's makes it dwork's, wherever it stands.
            for field in 1..8_u8 {
                let dwork = [&frame[..], &[field << 3, 0x06]].concat();
                assert!(is_dwork(&dwork), "{field} after {request:?}");
            }
        }
    }
    // A request of an unknown kind is native, and gets a native refusal.
    assert!(!is_dwork(&[0x40, 0x05]));
}
