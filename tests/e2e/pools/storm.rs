//! Pools that are killed under load, with their hub; `dhub-storm` does it and checks the end.

use e2e::Space;

#[test]
fn all_is_as_the_tasks_decide_whoever_is_killed() {
    let space = Space::new();
    let mut command = space.command(env!("CARGO_BIN_EXE_dhub-storm"));
    // It ends by itself when nothing happens any more.
    let ended = command.args(["--tasks", "5000", "--calm-ms", "700"]).output().expect("a storm");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains(" 0  processes left behind") && said.contains(" 0  faults"), "{said}");
}
