//! In a real tmux, as people have it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use e2e::{Hub, Process, eventually};

/// A tmux server of its own, with one window.
struct Tmux<'a> {
    hub: &'a Hub,
    socket: PathBuf,
}

impl<'a> Tmux<'a> {
    /// A shell in a window of that size.
    fn start(hub: &'a Hub, columns: u16, lines: u16) -> Self {
        let tmux = Self { hub, socket: hub.path("tmux") };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let shell = "PS1='ready$ ' exec sh";
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &lines, shell]);
        tmux
    }

    #[track_caller]
    fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let mut command = self.hub.command("tmux");
        command.env("TERM", "xterm-256color").env_remove("TMUX").arg("-u").arg("-S");
        command.arg(&self.socket).args(args);
        let output = Process::start(command).end();
        output.exits(0);
        output.stdout
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    fn ask(&self, format: &str) -> String {
        self.run(&["display-message", "-p", format]).trim().to_owned()
    }

    #[track_caller]
    fn becomes(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                last = self.screen();
                is(&last).then_some(())
            });
        }));
        assert!(found.is_ok(), "'{what}' on the screen; it shows:\n{last}");
        last
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        self.becomes(text, |screen| screen.contains(text))
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let mut command = self.hub.command("tmux");
        command.arg("-S").arg(&self.socket).arg("kill-server");
        let _ = Process::start(command).end();
    }
}

/// scripts/test.sh says by the variable that it has installed tmux.
fn skips() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = std::env::split_paths(&path).any(|dir| Path::new(&dir).join("tmux").is_file());
    let must = std::env::var_os("DHUB_TMUX").is_some();
    assert!(has || !must, "DHUB_TMUX is set, but no tmux here");
    if !has {
        eprintln!("skipped: no tmux here (scripts/test.sh installs it where it can)");
    }
    !has
}

#[test]
fn a_run_is_looked_at_and_steered() {
    if skips() {
        return;
    }
    let (hub, _pool) = super::varied();
    let tmux = Tmux::start(&hub, 80, 24);
    // What is typed before there is a prompt would be shown twice.
    tmux.becomes("a prompt", |text| text.starts_with("ready$"));
    tmux.keys(&["echo before", "Enter"]);
    tmux.shows("\nbefore\n");
    tmux.keys(&["dquery top", "Enter"]);

    let screen = tmux.shows("quick-00");
    for text in ["run.db · ", "] 91.3 %  21 of 23", "done 20  failed 1  skipped 0", "running 1"] {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    assert_eq!(screen.lines().count(), 24);
    assert!(screen.contains("\n 1 Tasks 23  2 Workers 1\n"), "{screen}");
    let keys = "\nq quit  ? help  / name  f state  Enter open  s sort  c cancel  r retry  h hold";
    assert!(screen.trim_end().ends_with(keys), "{screen}");

    // A filter, and the one task that it leaves.
    tmux.keys(&["/", "bad"]);
    tmux.shows("\nname: bad\n");
    tmux.keys(&["Enter"]);
    tmux.becomes("one task", |text| text.contains("only bad") && !text.contains("quick-00"));
    tmux.keys(&["Enter"]);
    let screen = tmux.shows("attempt 1 wrote");
    assert!(screen.contains("\nbad   failed ") && screen.contains("| no input"), "{screen}");
    assert!(screen.contains("exit 3"), "{screen}");
    tmux.keys(&["Escape"]);
    tmux.shows("only bad");
    tmux.keys(&["Escape"]);
    tmux.shows("quick-00");

    // Cancelled only after a yes.
    tmux.keys(&["f", "r"]);
    tmux.becomes("what runs", |text| text.contains("only running") && text.contains("\nslow "));
    tmux.keys(&["c"]);
    tmux.shows("cancel 'slow'? it runs and is killed; what needs it is skipped");
    tmux.keys(&["n"]);
    tmux.shows("nothing was done to 'slow'");
    assert_eq!(hub.state("slow"), "running");
    tmux.keys(&["c"]);
    tmux.shows("cancel 'slow'?");
    tmux.keys(&["y"]);
    tmux.shows("'slow' is cancelled");
    assert_eq!((hub.state("slow"), hub.state("after")), ("cancelled".into(), "skipped".into()));
    tmux.shows("no such task");
    tmux.shows("finished, not all done");

    // Another size, at once.
    tmux.keys(&["Escape"]);
    tmux.shows("quick-00");
    tmux.run(&["resize-window", "-x", "40", "-y", "10"]);
    tmux.becomes("a small screen", |text| {
        text.lines().count() == 10 && text.contains("\nq quit") && text.contains("quick-03\u{20}")
    });
    tmux.run(&["resize-window", "-x", "120", "-y", "45"]);
    let screen = tmux.becomes("a large screen", |text| text.contains("WHY"));
    assert!(screen.contains("\nafter ") && screen.contains("quick-19"), "{screen}");

    tmux.keys(&["q"]);
    // As before: the shell's own screen, with its cursor, and what is typed is shown.
    tmux.becomes("the shell", |text| {
        text.starts_with("ready$ echo before\nbefore\nready$ dquery top\nready$")
    });
    assert_eq!(tmux.ask("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"), "0 1 0");
    tmux.keys(&["echo $? after", "Enter"]);
    tmux.shows("ready$ echo $? after\n0 after\n");
}
