//! kworker against a real hub: tasks that really run, and what happens when something dies.

mod ahead;
mod command;
mod crash;
mod failure;
mod guard;
mod halt;
mod job;
mod left;
mod limits;
mod lost;
mod output;
mod stop;
mod suspend;
mod talk;
mod terminal;
mod unread;
