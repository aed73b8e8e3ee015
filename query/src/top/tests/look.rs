//! What is on the screen.

use super::*;

#[test]
fn tasks_at_80x24() {
    let mut fixture = Fixture::new();
    for s in 0..20 {
        fixture.report.counts.as_mut().expect("counts").done += s;
        fixture.at(s * 1000).settle();
    }
    fixture.shows(
        80,
        24,
        "\
run.db · login3:6125 · up 2 h 14 m · commit 0.9 ms
[████████████                          ] 32.4 %  192 of 591  done at about 14:02
done 191  failed 1  skipped 0  cancelled 0  running 1  ready 396  waiting 2
2.5/s now  1.2/s overall · 1 worker, 1 of 8 slots busy · 1 lost 3 m ago
most failures: 1 × exit 137  sim-0001
  19.0/s                                                                  ▁▂▄▅▆█
                                                                    ▂▃▄▅▇███████
    19 s                                                     ▁▂▃▅▆▇█████████████
 1 Tasks 591  2 Workers 2
TASK                            STATE      TRY       TIME  WORKER           EXIT
prep                            done         1   1 m 30 s  node1:7
sim-0001                        failed       3        5 s  node2:8           137
sim-0002                        running      1        1 m  node1:7
数据-größe \\u{1…t is very long  waiting      1      1.5 s  node1:7            75
sim-0005                        ready
sim-0006                        ready
sim-0007                        ready
sim-0008                        ready
sim-0009                        ready
sim-0010                        ready
sim-0011                        ready
sim-0012                        ready

q quit  ? help  / name  f state  Enter open  s sort  c cancel  r retry  h hold
",
    );
}

#[test]
fn tasks_at_40x10() {
    let expected = "\
run.db · login3:6125 · up 2 h 14 m · co…
[                      ] 0.4 %  2 of 401
done 1  failed 1  running 1  ready 396 …
 1 Tasks 401  2 Workers 2
TASK                STATE           TIME
prep                done        1 m 30 s
sim-0001            failed           5 s
sim-0002            running          1 m
数据-größ…ery long  waiting        1.5 s
q quit  ? help  / name  f state
";
    Fixture::new().settle().shows(40, 10, expected);
}

#[test]
fn workers_at_200x50() {
    let mut fixture = Fixture::new();
    let screen = fixture.settle().keys("2").screen(200, 50);
    let lines: Vec<&str> = screen.lines().collect();
    let expected = "\
WORKER                                                       STATE     SLOTS   RUNS     DONE  FAILED    CPU    MEM      SEEN  HOST              NOTE
node1:7                                                      alive         8      1        1       0   51 %   25 %       1 s  node1
node2:8                                                      lost                 0        0       3                     3 m  node2
";
    assert_eq!(lines[14..17].join("\n") + "\n", expected, "{screen}");
    assert_eq!(lines[49], "q quit  ? help  Enter its tasks  d drain  x stop  s sort  Tab tasks");
    assert!(lines[17..49].iter().all(|line| line.is_empty()));
    // Narrower, less is told of each.
    assert!(fixture.screen(40, 10).contains("node2:8                  lost          0\n"));
}

#[test]
fn one_task_at_80x24() {
    let mut fixture = Fixture::new();
    fixture.settle().key(KeyCode::Down).key(KeyCode::Enter);
    let screen = fixture.screen(80, 24);
    let table = screen.lines().skip(9).collect::<Vec<_>>().join("\n") + "\n";
    let parts = [
        "sim-0001   failed   priority 0   retries 0   killed on node2:8, 3 failures\n",
        "\n  needed by   merge  waiting\n",
        "\n              2  failed  on node2:8  1970-01-01 00:16:40  for 5 s  exit 137\n",
        "\n\n  attempt 3 wrote\n    | line 1\n",
        "\n\nq quit  Esc back  ↑↓ scroll  c cancel  r retry  h hold  p priority  ? help\n",
    ];
    for part in parts {
        assert!(table.contains(part), "{part} in {table}");
    }
    // The end of what the attempts wrote; nothing of it steers the terminal.
    fixture.key(KeyCode::End);
    assert!(fixture.screen(80, 24).contains("    | no\\u{1b}[2J memory\n"));
    assert_eq!(fixture.asked.last(), Some(&Ask::Show("sim-0001".into())));
    fixture.key(KeyCode::Esc);
    assert!(fixture.screen(80, 24).contains("TASK  "));
}

/// What it says by itself has room on a terminal of the usual size, in all views.
#[test]
fn no_text_of_its_own_is_cut_at_80_columns() {
    for keys in ["", "?", "2", "2?", "f", "s", "c", "h", "p", "1/x", "\n"] {
        let screen = Fixture::new().settle().keys(keys).screen(80, 24);
        let lines = screen.lines().filter(|line| !line.contains("is very long"));
        for line in lines {
            assert!(!line.contains('…'), "{keys:?}: {line}\n{screen}");
        }
    }
}

#[test]
fn every_size_is_drawn() {
    let mut fixture = Fixture::new();
    fixture.settle();
    let views: [&str; 7] = ["", "2", "?", "1/x", "f", "c", "\n"];
    for (width, height) in (0..90).step_by(7).flat_map(|w| (0..30).map(move |h| (w, h))) {
        fixture.screen(width + 1, height + 1);
    }
    for keys in views {
        fixture.state.mode = Mode::Look;
        for key in keys.chars() {
            fixture.key(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        for (width, height) in
            [(1, 1), (1, 30), (200, 1), (3, 3), (7, 5), (19, 7), (40, 10), (500, 100)]
        {
            fixture.screen(width, height);
        }
    }
}
