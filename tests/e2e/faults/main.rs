//! A bad network between a hub and its clients: they recover by themselves, and nothing that was
//! acknowledged runs twice.

mod load;
mod native;
mod pool;
mod query;
mod run;
mod told;
