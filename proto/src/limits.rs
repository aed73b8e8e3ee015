//! Limits of the protocol. Each name carries its unit; docs/protocol.md lists them.

/// One message, either way. The socket refuses what is larger.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Name of a task.
pub const NAME_BYTES_MAX: usize = 1024;
/// Name of a worker.
pub const WORKER_NAME_BYTES_MAX: usize = 255;
/// Command of a task.
pub const COMMAND_BYTES_MAX: usize = 128 * 1024;
/// Tasks in one Create; outcomes, attempts or names in one request.
pub const BATCH_TASKS_MAX: usize = 65_536;
/// Dependencies of all tasks in one Create.
pub const CREATE_NEEDS_MAX: usize = 262_144;
/// Environment variables of all tasks in one Create.
pub const CREATE_ENV_MAX: usize = 262_144;
/// Names in one request other than Create, all together. What is refused is told by name.
pub const NAMES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Leases in one reply, with all that they carry; one lease there is always.
pub const LEASES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Tasks on one page of List, in bytes; one task there is always.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Tasks on one page of Export, in bytes; one task there is always, and it may be cut between attempts.
pub const EXPORT_BYTES_MAX: usize = 1024 * 1024;
/// Dependencies of one task.
pub const NEEDS_MAX: usize = 65_536;
/// Tasks in one Steal or `want`.
pub const STEAL_TASKS_MAX: usize = 65_536;
/// How long a request may be parked in the hub. Below the time-out that clients should have.
pub const WAIT_MS_MAX: u64 = 60_000;
/// Requests parked at the same time.
pub const PARKED_REQUESTS_MAX: usize = 200_000;
/// Tail of a task's output that is kept.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Reason of a failure.
pub const REASON_BYTES_MAX: usize = 1024;
/// Further tries of a task.
pub const RETRIES_MAX: u32 = 1_000_000;
/// Tasks on one page of List.
pub const PAGE_TASKS_MAX: usize = 10_000;
/// Names of workers in one Steer.
pub const STEER_NAMES_MAX: usize = 1_000;
/// Workers on one page, and those that the reply to a Steer names.
pub const PAGE_WORKERS_MAX: usize = 1_000;
/// Term of a lease.
pub const LEASE_MS_MAX: u64 = 30 * 24 * 3600 * 1000;
/// Names listed in an error.
pub const ERROR_NAMES_MAX: usize = 100;
/// Identity of a client process.
pub const CLIENT_ID_BYTES: usize = 16;
/// Reclaims in a row after the task had started, after which it fails.
pub const RECLAIMS_MAX: u32 = 5;
/// Port of the requests; reports go to the next one.
pub const PORT: u16 = 6125;
/// Working directory of a task; path of an output file, or the template of one.
pub const DIR_BYTES_MAX: usize = 4096;
/// Environment of a task, all of it.
pub const ENV_BYTES_MAX: usize = 64 * 1024;
/// Standard input of a task.
pub const STDIN_BYTES_MAX: usize = 64 * 1024;
/// Patterns of names, or exit codes, in one selection.
pub const PATTERNS_MAX: usize = 1_000;
/// Names of tasks that one Wait waits for.
pub const WAIT_NAMES_MAX: usize = 10_000;
/// All patterns of tasks, or of workers, in one selection.
pub const PATTERNS_BYTES_MAX: usize = 64 * 1024;
/// States in one selection; there are fewer.
pub const STATES_MAX: usize = 100;
/// Names that all Waits wait for, together.
pub const AWAITED_NAMES_MAX: usize = 1_000_000;
/// Long requests under way: List, Count, Export, Retry, and what is done to a selection.
pub const LONG_REQUESTS_MAX: usize = 1_000;
/// What is kept of requests that may be sent again, of one key: requests, and bytes of their replies.
pub const TOLD_REQUESTS_MAX: usize = 4_096;
pub const TOLD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Of one of them: a larger reply is not kept.
pub const TOLD_REPLY_BYTES_MAX: usize = 16 * 1024;
/// How long it is kept.
pub const TOLD_MS: u64 = 3_600_000;

// Of one key that is not the owner's, at the same time. docs/security.md lists them.

/// Requests parked, for a key without the role work.
pub const KEY_PARKED_REQUESTS_MAX: usize = 1_000;
/// The same for a key with it: whole pools share one.
pub const WORK_KEY_PARKED_REQUESTS_MAX: usize = 50_000;
/// Names waited for.
pub const KEY_AWAITED_NAMES_MAX: usize = 100_000;
/// Long requests under way, and the bytes of what they ask.
pub const KEY_LONG_REQUESTS_MAX: usize = 16;
pub const KEY_LONG_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Questions that are not answered yet: Status, Show, Workers.
pub const KEY_QUESTIONS_MAX: usize = 1_000;
/// Requests that are kept because they may be sent again, and bytes of their replies.
pub const KEY_TOLD_REQUESTS_MAX: usize = 256;
pub const KEY_TOLD_BYTES_MAX: usize = 256 * 1024;

// Of all such keys together.

pub const GUESTS_LONG_BYTES_MAX: usize = 96 * 1024 * 1024;
pub const GUESTS_QUESTIONS_MAX: usize = 10_000;
