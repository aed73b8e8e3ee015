//! dquery against a real hub: what it prints, what it says when it goes wrong, its exit codes.

mod addfile;
mod completion;
mod errors;
mod help;
mod hold;
mod logs;
mod look;
mod repair;
mod run;
mod scripts;
mod stuck;
mod sweep;
mod table;
mod talk;
mod wait;
mod watch;
mod worker;
