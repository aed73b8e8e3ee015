//! The hub as a process: how it starts, refuses to start, and stops.

mod recover;
mod refuse;
mod start;
mod stop;
