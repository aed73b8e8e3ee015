from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_MISSING: _ClassVar[State]
    STATE_WAITING: _ClassVar[State]
    STATE_READY: _ClassVar[State]
    STATE_RUNNING: _ClassVar[State]
    STATE_DONE: _ClassVar[State]
    STATE_FAILED: _ClassVar[State]
    STATE_SKIPPED: _ClassVar[State]
    STATE_CANCELLED: _ClassVar[State]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_EMPTY: _ClassVar[Phase]
    PHASE_ACTIVE: _ClassVar[Phase]
    PHASE_STUCK: _ClassVar[Phase]
    PHASE_FINISHED: _ClassVar[Phase]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_UNSPECIFIED: _ClassVar[ErrorCode]
    ERROR_INVALID: _ClassVar[ErrorCode]
    ERROR_LIMIT: _ClassVar[ErrorCode]
    ERROR_NOT_FOUND: _ClassVar[ErrorCode]
    ERROR_CONFLICT: _ClassVar[ErrorCode]
    ERROR_CYCLE: _ClassVar[ErrorCode]
    ERROR_STALE: _ClassVar[ErrorCode]
    ERROR_STATE: _ClassVar[ErrorCode]
    ERROR_DISK: _ClassVar[ErrorCode]
    ERROR_BUSY: _ClassVar[ErrorCode]
    ERROR_UNSUPPORTED: _ClassVar[ErrorCode]
    ERROR_DENIED: _ClassVar[ErrorCode]
    ERROR_DAMAGED: _ClassVar[ErrorCode]

class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESULT_UNSPECIFIED: _ClassVar[Result]
    RESULT_DONE: _ClassVar[Result]
    RESULT_FAILED: _ClassVar[Result]

class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_UNSPECIFIED: _ClassVar[Order]
    ORDER_DRAIN: _ClassVar[Order]
    ORDER_STOP: _ClassVar[Order]
STATE_UNSPECIFIED: State
STATE_MISSING: State
STATE_WAITING: State
STATE_READY: State
STATE_RUNNING: State
STATE_DONE: State
STATE_FAILED: State
STATE_SKIPPED: State
STATE_CANCELLED: State
PHASE_UNSPECIFIED: Phase
PHASE_EMPTY: Phase
PHASE_ACTIVE: Phase
PHASE_STUCK: Phase
PHASE_FINISHED: Phase
ERROR_UNSPECIFIED: ErrorCode
ERROR_INVALID: ErrorCode
ERROR_LIMIT: ErrorCode
ERROR_NOT_FOUND: ErrorCode
ERROR_CONFLICT: ErrorCode
ERROR_CYCLE: ErrorCode
ERROR_STALE: ErrorCode
ERROR_STATE: ErrorCode
ERROR_DISK: ErrorCode
ERROR_BUSY: ErrorCode
ERROR_UNSUPPORTED: ErrorCode
ERROR_DENIED: ErrorCode
ERROR_DAMAGED: ErrorCode
RESULT_UNSPECIFIED: Result
RESULT_DONE: Result
RESULT_FAILED: Result
ORDER_UNSPECIFIED: Order
ORDER_DRAIN: Order
ORDER_STOP: Order

class Request(_message.Message):
    __slots__ = ("id", "token", "hello", "create", "steal", "complete", "release", "heartbeat", "exit", "cancel", "retry", "status", "list", "show", "wait", "shutdown", "backup", "reload", "steer", "workers", "export", "adjust", "count")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CREATE_FIELD_NUMBER: _ClassVar[int]
    STEAL_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    SHOW_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    SHUTDOWN_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    RELOAD_FIELD_NUMBER: _ClassVar[int]
    STEER_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    EXPORT_FIELD_NUMBER: _ClassVar[int]
    ADJUST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    id: int
    token: bytes
    hello: Hello
    create: Create
    steal: Steal
    complete: Complete
    release: Release
    heartbeat: Heartbeat
    exit: Exit
    cancel: Cancel
    retry: Retry
    status: Status
    list: List
    show: Show
    wait: Wait
    shutdown: Shutdown
    backup: Backup
    reload: Reload
    steer: Steer
    workers: Workers
    export: Export
    adjust: Adjust
    count: Count
    def __init__(self, id: _Optional[int] = ..., token: _Optional[bytes] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., create: _Optional[_Union[Create, _Mapping]] = ..., steal: _Optional[_Union[Steal, _Mapping]] = ..., complete: _Optional[_Union[Complete, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., exit: _Optional[_Union[Exit, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., list: _Optional[_Union[List, _Mapping]] = ..., show: _Optional[_Union[Show, _Mapping]] = ..., wait: _Optional[_Union[Wait, _Mapping]] = ..., shutdown: _Optional[_Union[Shutdown, _Mapping]] = ..., backup: _Optional[_Union[Backup, _Mapping]] = ..., reload: _Optional[_Union[Reload, _Mapping]] = ..., steer: _Optional[_Union[Steer, _Mapping]] = ..., workers: _Optional[_Union[Workers, _Mapping]] = ..., export: _Optional[_Union[Export, _Mapping]] = ..., adjust: _Optional[_Union[Adjust, _Mapping]] = ..., count: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("id", "error", "welcome", "created", "stolen", "completed", "released", "heartbeaten", "exited", "cancelled", "retried", "status", "listed", "shown", "waited", "shutting_down", "backed_up", "reloaded", "steered", "workers", "exported", "adjusted", "counted")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    STOLEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEATEN_FIELD_NUMBER: _ClassVar[int]
    EXITED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    SHUTTING_DOWN_FIELD_NUMBER: _ClassVar[int]
    BACKED_UP_FIELD_NUMBER: _ClassVar[int]
    RELOADED_FIELD_NUMBER: _ClassVar[int]
    STEERED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    EXPORTED_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    id: int
    error: Error
    welcome: Welcome
    created: Created
    stolen: Stolen
    completed: Completed
    released: Released
    heartbeaten: Heartbeaten
    exited: Exited
    cancelled: Cancelled
    retried: Retried
    status: StatusReport
    listed: Listed
    shown: Shown
    waited: Waited
    shutting_down: ShuttingDown
    backed_up: BackedUp
    reloaded: Reloaded
    steered: Steered
    workers: WorkersListed
    exported: Exported
    adjusted: Adjusted
    counted: Counted
    def __init__(self, id: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., created: _Optional[_Union[Created, _Mapping]] = ..., stolen: _Optional[_Union[Stolen, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ..., released: _Optional[_Union[Released, _Mapping]] = ..., heartbeaten: _Optional[_Union[Heartbeaten, _Mapping]] = ..., exited: _Optional[_Union[Exited, _Mapping]] = ..., cancelled: _Optional[_Union[Cancelled, _Mapping]] = ..., retried: _Optional[_Union[Retried, _Mapping]] = ..., status: _Optional[_Union[StatusReport, _Mapping]] = ..., listed: _Optional[_Union[Listed, _Mapping]] = ..., shown: _Optional[_Union[Shown, _Mapping]] = ..., waited: _Optional[_Union[Waited, _Mapping]] = ..., shutting_down: _Optional[_Union[ShuttingDown, _Mapping]] = ..., backed_up: _Optional[_Union[BackedUp, _Mapping]] = ..., reloaded: _Optional[_Union[Reloaded, _Mapping]] = ..., steered: _Optional[_Union[Steered, _Mapping]] = ..., workers: _Optional[_Union[WorkersListed, _Mapping]] = ..., exported: _Optional[_Union[Exported, _Mapping]] = ..., adjusted: _Optional[_Union[Adjusted, _Mapping]] = ..., counted: _Optional[_Union[Counted, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "names")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("name", "id", "host")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: bytes
    host: str
    def __init__(self, name: _Optional[str] = ..., id: _Optional[bytes] = ..., host: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("name", "attempt", "started")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    name: str
    attempt: int
    started: bool
    def __init__(self, name: _Optional[str] = ..., attempt: _Optional[int] = ..., started: bool = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("version", "report_endpoint", "worker_timeout_ms", "lease_ms", "message_bytes_max", "batch_tasks_max", "steal_tasks_max", "wait_ms_max", "output_bytes_max")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPORT_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    WORKER_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    BATCH_TASKS_MAX_FIELD_NUMBER: _ClassVar[int]
    STEAL_TASKS_MAX_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_MAX_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    version: str
    report_endpoint: str
    worker_timeout_ms: int
    lease_ms: int
    message_bytes_max: int
    batch_tasks_max: int
    steal_tasks_max: int
    wait_ms_max: int
    output_bytes_max: int
    def __init__(self, version: _Optional[str] = ..., report_endpoint: _Optional[str] = ..., worker_timeout_ms: _Optional[int] = ..., lease_ms: _Optional[int] = ..., message_bytes_max: _Optional[int] = ..., batch_tasks_max: _Optional[int] = ..., steal_tasks_max: _Optional[int] = ..., wait_ms_max: _Optional[int] = ..., output_bytes_max: _Optional[int] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("name", "needs", "command", "priority", "retries", "time_limit_ms", "dir", "env", "stdin")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_MS_FIELD_NUMBER: _ClassVar[int]
    DIR_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    needs: _containers.RepeatedScalarFieldContainer[str]
    command: str
    priority: int
    retries: int
    time_limit_ms: int
    dir: str
    env: _containers.RepeatedScalarFieldContainer[str]
    stdin: bytes
    def __init__(self, name: _Optional[str] = ..., needs: _Optional[_Iterable[str]] = ..., command: _Optional[str] = ..., priority: _Optional[int] = ..., retries: _Optional[int] = ..., time_limit_ms: _Optional[int] = ..., dir: _Optional[str] = ..., env: _Optional[_Iterable[str]] = ..., stdin: _Optional[bytes] = ...) -> None: ...

class Create(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ...) -> None: ...

class Created(_message.Message):
    __slots__ = ("added", "existing", "ready")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    added: int
    existing: int
    ready: int
    def __init__(self, added: _Optional[int] = ..., existing: _Optional[int] = ..., ready: _Optional[int] = ...) -> None: ...

class Steal(_message.Message):
    __slots__ = ("worker", "client", "number", "n", "wait_ms", "lease_ms", "stay", "replaces", "slots", "waiting")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    STAY_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    client: bytes
    number: int
    n: int
    wait_ms: int
    lease_ms: int
    stay: bool
    replaces: int
    slots: int
    waiting: int
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ..., client: _Optional[bytes] = ..., number: _Optional[int] = ..., n: _Optional[int] = ..., wait_ms: _Optional[int] = ..., lease_ms: _Optional[int] = ..., stay: bool = ..., replaces: _Optional[int] = ..., slots: _Optional[int] = ..., waiting: _Optional[int] = ...) -> None: ...

class Stolen(_message.Message):
    __slots__ = ("leases", "phase", "not_done", "lost", "drain", "stop", "away_ms")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    NOT_DONE_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    AWAY_MS_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    phase: Phase
    not_done: int
    lost: _containers.RepeatedCompositeFieldContainer[Attempt]
    drain: bool
    stop: bool
    away_ms: int
    def __init__(self, leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., phase: _Optional[_Union[Phase, str]] = ..., not_done: _Optional[int] = ..., lost: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., drain: bool = ..., stop: bool = ..., away_ms: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("name", "attempt", "command", "time_limit_ms", "term_ms", "dir", "env", "stdin", "suspect")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_MS_FIELD_NUMBER: _ClassVar[int]
    TERM_MS_FIELD_NUMBER: _ClassVar[int]
    DIR_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    SUSPECT_FIELD_NUMBER: _ClassVar[int]
    name: str
    attempt: int
    command: str
    time_limit_ms: int
    term_ms: int
    dir: str
    env: _containers.RepeatedScalarFieldContainer[str]
    stdin: bytes
    suspect: bool
    def __init__(self, name: _Optional[str] = ..., attempt: _Optional[int] = ..., command: _Optional[str] = ..., time_limit_ms: _Optional[int] = ..., term_ms: _Optional[int] = ..., dir: _Optional[str] = ..., env: _Optional[_Iterable[str]] = ..., stdin: _Optional[bytes] = ..., suspect: bool = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("name", "attempt", "result", "exit_code", "reason", "output", "final", "output_file", "run_ms", "left_behind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FILE_FIELD_NUMBER: _ClassVar[int]
    RUN_MS_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    attempt: int
    result: Result
    exit_code: int
    reason: str
    output: bytes
    final: bool
    output_file: str
    run_ms: int
    left_behind: int
    def __init__(self, name: _Optional[str] = ..., attempt: _Optional[int] = ..., result: _Optional[_Union[Result, str]] = ..., exit_code: _Optional[int] = ..., reason: _Optional[str] = ..., output: _Optional[bytes] = ..., final: bool = ..., output_file: _Optional[str] = ..., run_ms: _Optional[int] = ..., left_behind: _Optional[int] = ...) -> None: ...

class Complete(_message.Message):
    __slots__ = ("worker", "outcomes", "want", "client", "number", "lease_ms", "slots", "waiting")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    WANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    want: int
    client: bytes
    number: int
    lease_ms: int
    slots: int
    waiting: int
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ..., outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., want: _Optional[int] = ..., client: _Optional[bytes] = ..., number: _Optional[int] = ..., lease_ms: _Optional[int] = ..., slots: _Optional[int] = ..., waiting: _Optional[int] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("refused", "stolen")
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    STOLEN_FIELD_NUMBER: _ClassVar[int]
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    stolen: Stolen
    def __init__(self, refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ..., stolen: _Optional[_Union[Stolen, _Mapping]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("name", "attempt", "code", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    attempt: int
    code: ErrorCode
    message: str
    def __init__(self, name: _Optional[str] = ..., attempt: _Optional[int] = ..., code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("worker", "attempts")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ...) -> None: ...

class Released(_message.Message):
    __slots__ = ("released", "refused")
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    released: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    def __init__(self, released: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("worker", "attempts", "sample", "note", "output_files")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FILES_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    sample: Sample
    note: str
    output_files: str
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., sample: _Optional[_Union[Sample, _Mapping]] = ..., note: _Optional[str] = ..., output_files: _Optional[str] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("slots", "running", "cpu_percent", "memory_used_bytes", "memory_total_bytes", "load_1m", "disk_free_bytes")
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_1M_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    slots: int
    running: int
    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int
    load_1m: float
    disk_free_bytes: int
    def __init__(self, slots: _Optional[int] = ..., running: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., memory_used_bytes: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ..., load_1m: _Optional[float] = ..., disk_free_bytes: _Optional[int] = ...) -> None: ...

class Heartbeaten(_message.Message):
    __slots__ = ("lost", "drain", "stop")
    LOST_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    lost: _containers.RepeatedCompositeFieldContainer[Attempt]
    drain: bool
    stop: bool
    def __init__(self, lost: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., drain: bool = ..., stop: bool = ...) -> None: ...

class Exit(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class Exited(_message.Message):
    __slots__ = ("released",)
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    released: int
    def __init__(self, released: _Optional[int] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("names", "states", "patterns", "workers", "since_unix_ms", "exit_codes", "held")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[State]
    patterns: _containers.RepeatedScalarFieldContainer[str]
    workers: _containers.RepeatedScalarFieldContainer[str]
    since_unix_ms: int
    exit_codes: _containers.RepeatedScalarFieldContainer[int]
    held: bool
    def __init__(self, names: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[_Union[State, str]]] = ..., patterns: _Optional[_Iterable[str]] = ..., workers: _Optional[_Iterable[str]] = ..., since_unix_ms: _Optional[int] = ..., exit_codes: _Optional[_Iterable[int]] = ..., held: bool = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("selection",)
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    selection: Selection
    def __init__(self, selection: _Optional[_Union[Selection, _Mapping]] = ...) -> None: ...

class Cancelled(_message.Message):
    __slots__ = ("cancelled", "refused", "refused_total")
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    cancelled: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    refused_total: int
    def __init__(self, cancelled: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ..., refused_total: _Optional[int] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("selection", "done")
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    selection: Selection
    done: bool
    def __init__(self, selection: _Optional[_Union[Selection, _Mapping]] = ..., done: bool = ...) -> None: ...

class Retried(_message.Message):
    __slots__ = ("retried", "unskipped", "refused", "refused_total")
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    UNSKIPPED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    retried: int
    unskipped: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    refused_total: int
    def __init__(self, retried: _Optional[int] = ..., unskipped: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ..., refused_total: _Optional[int] = ...) -> None: ...

class Adjust(_message.Message):
    __slots__ = ("selection", "held", "priority")
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    selection: Selection
    held: bool
    priority: int
    def __init__(self, selection: _Optional[_Union[Selection, _Mapping]] = ..., held: bool = ..., priority: _Optional[int] = ...) -> None: ...

class Adjusted(_message.Message):
    __slots__ = ("adjusted", "refused", "refused_total")
    ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    adjusted: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    refused_total: int
    def __init__(self, adjusted: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ..., refused_total: _Optional[int] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("selection",)
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    selection: Selection
    def __init__(self, selection: _Optional[_Union[Selection, _Mapping]] = ...) -> None: ...

class Counted(_message.Message):
    __slots__ = ("counts", "unknown", "begun")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    counts: Counts
    unknown: _containers.RepeatedScalarFieldContainer[str]
    begun: int
    def __init__(self, counts: _Optional[_Union[Counts, _Mapping]] = ..., unknown: _Optional[_Iterable[str]] = ..., begun: _Optional[int] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Counts(_message.Message):
    __slots__ = ("waiting", "ready", "running", "done", "failed", "skipped", "cancelled", "missing", "held")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    ready: int
    running: int
    done: int
    failed: int
    skipped: int
    cancelled: int
    missing: int
    held: int
    def __init__(self, waiting: _Optional[int] = ..., ready: _Optional[int] = ..., running: _Optional[int] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., skipped: _Optional[int] = ..., cancelled: _Optional[int] = ..., missing: _Optional[int] = ..., held: _Optional[int] = ...) -> None: ...

class StatusReport(_message.Message):
    __slots__ = ("counts", "phase", "done_per_s", "done_per_s_overall", "workers", "workers_total", "missing", "hub", "failures", "slowest", "retrying", "lost", "lost_names", "damaged_pages", "room_for", "room_by")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    DONE_PER_S_FIELD_NUMBER: _ClassVar[int]
    DONE_PER_S_OVERALL_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    HUB_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    SLOWEST_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    LOST_NAMES_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_PAGES_FIELD_NUMBER: _ClassVar[int]
    ROOM_FOR_FIELD_NUMBER: _ClassVar[int]
    ROOM_BY_FIELD_NUMBER: _ClassVar[int]
    counts: Counts
    phase: Phase
    done_per_s: float
    done_per_s_overall: float
    workers: _containers.RepeatedCompositeFieldContainer[WorkerInfo]
    workers_total: int
    missing: _containers.RepeatedScalarFieldContainer[str]
    hub: HubInfo
    failures: _containers.RepeatedCompositeFieldContainer[FailureGroup]
    slowest: TaskInfo
    retrying: int
    lost: int
    lost_names: _containers.RepeatedScalarFieldContainer[str]
    damaged_pages: int
    room_for: str
    room_by: str
    def __init__(self, counts: _Optional[_Union[Counts, _Mapping]] = ..., phase: _Optional[_Union[Phase, str]] = ..., done_per_s: _Optional[float] = ..., done_per_s_overall: _Optional[float] = ..., workers: _Optional[_Iterable[_Union[WorkerInfo, _Mapping]]] = ..., workers_total: _Optional[int] = ..., missing: _Optional[_Iterable[str]] = ..., hub: _Optional[_Union[HubInfo, _Mapping]] = ..., failures: _Optional[_Iterable[_Union[FailureGroup, _Mapping]]] = ..., slowest: _Optional[_Union[TaskInfo, _Mapping]] = ..., retrying: _Optional[int] = ..., lost: _Optional[int] = ..., lost_names: _Optional[_Iterable[str]] = ..., damaged_pages: _Optional[int] = ..., room_for: _Optional[str] = ..., room_by: _Optional[str] = ...) -> None: ...

class HubInfo(_message.Message):
    __slots__ = ("version", "file", "endpoints", "uptime_ms", "commit_us", "file_bytes", "insecure", "host", "process", "handshakes_failed", "requests_denied", "long_requests", "parked", "connections_refused", "workers_max", "workers_kept")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_US_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    INSECURE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    HANDSHAKES_FAILED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_DENIED_FIELD_NUMBER: _ClassVar[int]
    LONG_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_REFUSED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_MAX_FIELD_NUMBER: _ClassVar[int]
    WORKERS_KEPT_FIELD_NUMBER: _ClassVar[int]
    version: str
    file: str
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    uptime_ms: int
    commit_us: int
    file_bytes: int
    insecure: bool
    host: str
    process: int
    handshakes_failed: int
    requests_denied: int
    long_requests: int
    parked: int
    connections_refused: int
    workers_max: int
    workers_kept: int
    def __init__(self, version: _Optional[str] = ..., file: _Optional[str] = ..., endpoints: _Optional[_Iterable[str]] = ..., uptime_ms: _Optional[int] = ..., commit_us: _Optional[int] = ..., file_bytes: _Optional[int] = ..., insecure: bool = ..., host: _Optional[str] = ..., process: _Optional[int] = ..., handshakes_failed: _Optional[int] = ..., requests_denied: _Optional[int] = ..., long_requests: _Optional[int] = ..., parked: _Optional[int] = ..., connections_refused: _Optional[int] = ..., workers_max: _Optional[int] = ..., workers_kept: _Optional[int] = ...) -> None: ...

class FailureGroup(_message.Message):
    __slots__ = ("reason", "count", "names")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class WorkerInfo(_message.Message):
    __slots__ = ("name", "id", "leases", "started", "done", "failed", "last_seen_ago_ms", "lost", "sample", "note", "host", "order", "output_files", "key", "away")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_AGO_MS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FILES_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: bytes
    leases: int
    started: int
    done: int
    failed: int
    last_seen_ago_ms: int
    lost: bool
    sample: Sample
    note: str
    host: str
    order: Order
    output_files: str
    key: str
    away: bool
    def __init__(self, name: _Optional[str] = ..., id: _Optional[bytes] = ..., leases: _Optional[int] = ..., started: _Optional[int] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., last_seen_ago_ms: _Optional[int] = ..., lost: bool = ..., sample: _Optional[_Union[Sample, _Mapping]] = ..., note: _Optional[str] = ..., host: _Optional[str] = ..., order: _Optional[_Union[Order, str]] = ..., output_files: _Optional[str] = ..., key: _Optional[str] = ..., away: bool = ...) -> None: ...

class TaskInfo(_message.Message):
    __slots__ = ("name", "state", "priority", "retries", "attempt", "failures", "reclaims", "worker", "run_ms", "exit_code", "reason", "command", "time_limit_ms", "created_unix_ms", "ended_unix_ms", "dir", "env", "stdin_bytes", "retry_in_ms", "held", "id", "effective_priority", "priority_of", "left_behind", "damaged")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    RECLAIMS_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    RUN_MS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_MS_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    DIR_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    STDIN_BYTES_FIELD_NUMBER: _ClassVar[int]
    RETRY_IN_MS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_OF_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: State
    priority: int
    retries: int
    attempt: int
    failures: int
    reclaims: int
    worker: str
    run_ms: int
    exit_code: int
    reason: str
    command: str
    time_limit_ms: int
    created_unix_ms: int
    ended_unix_ms: int
    dir: str
    env: _containers.RepeatedScalarFieldContainer[str]
    stdin_bytes: int
    retry_in_ms: int
    held: bool
    id: int
    effective_priority: int
    priority_of: str
    left_behind: int
    damaged: bool
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., priority: _Optional[int] = ..., retries: _Optional[int] = ..., attempt: _Optional[int] = ..., failures: _Optional[int] = ..., reclaims: _Optional[int] = ..., worker: _Optional[str] = ..., run_ms: _Optional[int] = ..., exit_code: _Optional[int] = ..., reason: _Optional[str] = ..., command: _Optional[str] = ..., time_limit_ms: _Optional[int] = ..., created_unix_ms: _Optional[int] = ..., ended_unix_ms: _Optional[int] = ..., dir: _Optional[str] = ..., env: _Optional[_Iterable[str]] = ..., stdin_bytes: _Optional[int] = ..., retry_in_ms: _Optional[int] = ..., held: bool = ..., id: _Optional[int] = ..., effective_priority: _Optional[int] = ..., priority_of: _Optional[str] = ..., left_behind: _Optional[int] = ..., damaged: bool = ...) -> None: ...

class List(_message.Message):
    __slots__ = ("selection", "limit", "after", "before")
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    selection: Selection
    limit: int
    after: int
    before: int
    def __init__(self, selection: _Optional[_Union[Selection, _Mapping]] = ..., limit: _Optional[int] = ..., after: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class Listed(_message.Message):
    __slots__ = ("tasks", "next", "unknown")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskInfo]
    next: int
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tasks: _Optional[_Iterable[_Union[TaskInfo, _Mapping]]] = ..., next: _Optional[int] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class Export(_message.Message):
    __slots__ = ("selection", "limit", "after", "after_attempt", "brief")
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    AFTER_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    BRIEF_FIELD_NUMBER: _ClassVar[int]
    selection: Selection
    limit: int
    after: int
    after_attempt: int
    brief: bool
    def __init__(self, selection: _Optional[_Union[Selection, _Mapping]] = ..., limit: _Optional[int] = ..., after: _Optional[int] = ..., after_attempt: _Optional[int] = ..., brief: bool = ...) -> None: ...

class Exported(_message.Message):
    __slots__ = ("tasks", "next", "next_attempt", "unknown")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[ExportedTask]
    next: int
    next_attempt: int
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tasks: _Optional[_Iterable[_Union[ExportedTask, _Mapping]]] = ..., next: _Optional[int] = ..., next_attempt: _Optional[int] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportedTask(_message.Message):
    __slots__ = ("id", "task", "needs", "attempts")
    ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    task: TaskInfo
    needs: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptInfo]
    def __init__(self, id: _Optional[int] = ..., task: _Optional[_Union[TaskInfo, _Mapping]] = ..., needs: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[_Union[AttemptInfo, _Mapping]]] = ...) -> None: ...

class Show(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Shown(_message.Message):
    __slots__ = ("task", "needs", "needed_by", "attempts", "room_for", "room_by")
    TASK_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    NEEDED_BY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ROOM_FOR_FIELD_NUMBER: _ClassVar[int]
    ROOM_BY_FIELD_NUMBER: _ClassVar[int]
    task: TaskInfo
    needs: _containers.RepeatedCompositeFieldContainer[TaskInfo]
    needed_by: _containers.RepeatedCompositeFieldContainer[TaskInfo]
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptInfo]
    room_for: str
    room_by: str
    def __init__(self, task: _Optional[_Union[TaskInfo, _Mapping]] = ..., needs: _Optional[_Iterable[_Union[TaskInfo, _Mapping]]] = ..., needed_by: _Optional[_Iterable[_Union[TaskInfo, _Mapping]]] = ..., attempts: _Optional[_Iterable[_Union[AttemptInfo, _Mapping]]] = ..., room_for: _Optional[str] = ..., room_by: _Optional[str] = ...) -> None: ...

class AttemptInfo(_message.Message):
    __slots__ = ("attempt", "worker", "started_unix_ms", "ended_unix_ms", "outcome", "exit_code", "reason", "output", "host", "output_file", "key", "left_behind")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FILE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    worker: str
    started_unix_ms: int
    ended_unix_ms: int
    outcome: str
    exit_code: int
    reason: str
    output: bytes
    host: str
    output_file: str
    key: str
    left_behind: int
    def __init__(self, attempt: _Optional[int] = ..., worker: _Optional[str] = ..., started_unix_ms: _Optional[int] = ..., ended_unix_ms: _Optional[int] = ..., outcome: _Optional[str] = ..., exit_code: _Optional[int] = ..., reason: _Optional[str] = ..., output: _Optional[bytes] = ..., host: _Optional[str] = ..., output_file: _Optional[str] = ..., key: _Optional[str] = ..., left_behind: _Optional[int] = ...) -> None: ...

class Wait(_message.Message):
    __slots__ = ("wait_ms", "names", "output")
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    wait_ms: int
    names: _containers.RepeatedScalarFieldContainer[str]
    output: bool
    def __init__(self, wait_ms: _Optional[int] = ..., names: _Optional[_Iterable[str]] = ..., output: bool = ...) -> None: ...

class Waited(_message.Message):
    __slots__ = ("phase", "counts", "done_per_s", "ended", "unknown")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    DONE_PER_S_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    counts: Counts
    done_per_s: float
    ended: _containers.RepeatedCompositeFieldContainer[EndedTask]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, phase: _Optional[_Union[Phase, str]] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., done_per_s: _Optional[float] = ..., ended: _Optional[_Iterable[_Union[EndedTask, _Mapping]]] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class EndedTask(_message.Message):
    __slots__ = ("task", "attempt")
    TASK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    task: TaskInfo
    attempt: AttemptInfo
    def __init__(self, task: _Optional[_Union[TaskInfo, _Mapping]] = ..., attempt: _Optional[_Union[AttemptInfo, _Mapping]] = ...) -> None: ...

class Shutdown(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShuttingDown(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Backup(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: str
    def __init__(self, to: _Optional[str] = ...) -> None: ...

class BackedUp(_message.Message):
    __slots__ = ("bytes",)
    BYTES_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    def __init__(self, bytes: _Optional[int] = ...) -> None: ...

class Reload(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Reloaded(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: int
    def __init__(self, keys: _Optional[int] = ...) -> None: ...

class Steer(_message.Message):
    __slots__ = ("workers", "order")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    order: Order
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., order: _Optional[_Union[Order, str]] = ...) -> None: ...

class Steered(_message.Message):
    __slots__ = ("workers", "workers_total", "unknown")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    workers_total: int
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., workers_total: _Optional[int] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class Workers(_message.Message):
    __slots__ = ("limit", "after")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    limit: int
    after: int
    def __init__(self, limit: _Optional[int] = ..., after: _Optional[int] = ...) -> None: ...

class WorkersListed(_message.Message):
    __slots__ = ("workers", "next")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerInfo]
    next: int
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerInfo, _Mapping]]] = ..., next: _Optional[int] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("heartbeat",)
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    heartbeat: Heartbeat
    def __init__(self, heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...
