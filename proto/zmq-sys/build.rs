//! Builds libzmq 4.3.5 with CURVE, from the sources that `zeromq-src` carries and with the patches
//! in `patches/`, against the libsodium that `libsodium-sys-stable` built. Nothing has to be
//! installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What the patches were made for.
const VERSION: &str = "4.3.5";

/// Of libzmq, WebSockets: nothing here speaks them, and they need more libraries.
const LEFT_OUT: &str = "ws";

fn main() {
    for path in ["build.rs", "patches", "src"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=DHUB_ZMQ_FLAGS");
    let out = PathBuf::from(variable("OUT_DIR"));
    let source = lay_out(&out);
    check_version(&source);
    let mut patches: Vec<PathBuf> = entries(Path::new("patches"))
        .filter(|it| it.extension().is_some_and(|it| it == "patch"))
        .collect();
    patches.sort();
    for patch in &patches {
        apply(patch, &source);
    }
    compile(&source, &out);
}

fn variable(key: &str) -> String {
    env::var(key).unwrap_or_else(|_| panic!("{key} is not set"))
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let read = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    read.map(|entry| entry.expect("a directory that can be read").path())
}

/// The sources of libzmq as they came, below `out`.
///
/// Cargo tells a build script nothing of where its own dependencies lie, and `zeromq-src` can only
/// compile what it carries; it leaves a copy of that. So it is run with compilers that do nothing.
fn lay_out(out: &Path) -> PathBuf {
    let source = out.join("source");
    // A patched one of the last time: what it lays out is added to what is there.
    let _ = fs::remove_dir_all(&source);
    let tools = ["CC", "CXX", "AR", "RANLIB"];
    let before = tools.map(|tool| (tool, env::var_os(tool)));
    // SAFETY: a build script has one thread here, so nobody reads the environment meanwhile.
    unsafe { tools.iter().for_each(|tool| env::set_var(tool, "true")) };
    zeromq_src::Build::new().build();
    for (tool, value) in before {
        // SAFETY: the same; the threads that zeromq-src started have ended.
        unsafe {
            match value {
                Some(value) => env::set_var(tool, value),
                None => env::remove_var(tool),
            }
        }
    }
    source
}

fn check_version(source: &Path) {
    let header = fs::read_to_string(source.join("include/zmq.h")).expect("libzmq's zmq.h");
    let number = |name: &str| -> &str {
        let line = header
            .lines()
            .find_map(|line| line.strip_prefix("#define ZMQ_VERSION_")?.strip_prefix(name));
        line.map_or("?", str::trim)
    };
    let found = ["MAJOR ", "MINOR ", "PATCH "].map(number).join(".");
    assert!(
        found == VERSION,
        "the patches are for libzmq {VERSION}, zeromq-src brought {found}: see README.md"
    );
}

/// A patch is text about several files; what precedes the first of them says why.
fn apply(patch: &Path, source: &Path) {
    let text = fs::read_to_string(patch).expect("a patch that can be read");
    let start = text.find("--- a/").unwrap_or_else(|| panic!("{} is no patch", patch.display()));
    for part in format!("\n{}", &text[start..]).split("\n--- a/").skip(1) {
        let (name, _) = part.split_once('\n').expect("a line with the name of a file");
        let path = source.join(name.trim_end());
        let failed = |why: &dyn std::fmt::Display| -> ! {
            panic!("{} does not fit {}: {why}", patch.display(), path.display())
        };
        let part = format!("--- a/{part}\n");
        let parsed = diffy::Patch::from_str(&part).unwrap_or_else(|error| failed(&error));
        let stock = fs::read_to_string(&path).unwrap_or_else(|error| failed(&error));
        let patched = diffy::apply(&stock, &parsed).unwrap_or_else(|error| failed(&error));
        fs::write(&path, patched).unwrap_or_else(|error| failed(&error));
    }
}

fn compile(source: &Path, out: &Path) {
    let mut build = cc::Build::new();
    // Warnings about libzmq's own code are of no use to whoever builds this.
    build.cpp(true).std("c++11").warnings(false).flag("-w");
    // All defines come from here.
    fs::write(out.join("platform.hpp"), "").expect("a place to write to");
    build.includes([out, &source.join("include"), &source.join("src"), Path::new("src")]);
    build.include(variable("DEP_SODIUM_INCLUDE"));
    for (name, value) in defines() {
        build.define(name, value);
    }
    if has_strlcpy(out) {
        build.define("ZMQ_HAVE_STRLCPY", "1");
    }
    // For sanitizers: scripts/soak.sh asan.
    for flag in env::var("DHUB_ZMQ_FLAGS").unwrap_or_default().split_whitespace() {
        build.flag(flag);
    }
    let is_built = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".cpp") && !name.starts_with(LEFT_OUT)
    };
    let mut files: Vec<PathBuf> = entries(&source.join("src")).filter(is_built).collect();
    // Ours: what libzmq has, but tells C nothing of.
    files.extend(entries(Path::new("src")).filter(is_built));
    files.sort();
    build.files(files).out_dir(out.join("lib")).compile("zmq");
    println!("cargo:rustc-link-search={}", variable("DEP_SODIUM_LIB"));
    println!("cargo:rustc-link-lib=static=sodium");
    println!("cargo:include={}", source.join("include").display());
}

/// What libzmq's own configure would find.
fn defines() -> Vec<(&'static str, &'static str)> {
    let mut names = vec![
        "ZMQ_STATIC",
        "ZMQ_USE_CV_IMPL_STL11",
        "ZMQ_USE_LIBSODIUM",
        "ZMQ_HAVE_CURVE",
        "ZMQ_POLL_BASED_ON_POLL",
        "ZMQ_HAVE_IPC",
        "ZMQ_HAVE_UIO",
        "ZMQ_HAVE_STRUCT_SOCKADDR_UN",
        "HAVE_STRNLEN",
    ];
    // A failed accept must not abort the process, and who is let in has a limit: src/accept.rs.
    let mut values = vec![("accept", "dhub_zmq_accept")];
    if variable("CARGO_CFG_TARGET_OS") == "linux" {
        // Its descriptors must not leak into the tasks that a worker starts, and TCP has keep-alive.
        names.extend([
            "ZMQ_HAVE_LINUX",
            "ZMQ_IOTHREAD_POLLER_USE_EPOLL",
            "ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC",
            "ZMQ_HAVE_SOCK_CLOEXEC",
            "ZMQ_HAVE_O_CLOEXEC",
            "ZMQ_HAVE_EVENTFD",
            "ZMQ_HAVE_EVENTFD_CLOEXEC",
            "ZMQ_HAVE_SO_KEEPALIVE",
            "ZMQ_HAVE_TCP_KEEPCNT",
            "ZMQ_HAVE_TCP_KEEPIDLE",
            "ZMQ_HAVE_TCP_KEEPINTVL",
        ]);
    } else {
        names.extend(["ZMQ_IOTHREAD_POLLER_USE_KQUEUE"]);
    }
    values.extend(names.into_iter().map(|name| (name, "1")));
    values
}

/// libzmq brings a function of the C library of its own where that has none, as old ones.
fn has_strlcpy(out: &Path) -> bool {
    let probe = out.join("strlcpy.cpp");
    let text = "#include <string.h>\nvoid *probe() { return (void *) &strlcpy; }\n";
    fs::write(&probe, text).expect("a place to write to");
    let mut build = cc::Build::new();
    build.cpp(true).cargo_metadata(false).cargo_warnings(false).warnings(false).file(&probe);
    build.out_dir(out.join("probe")).try_compile("probe").is_ok()
}
