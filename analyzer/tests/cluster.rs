//! Queries on a cluster: real processes, a scheduler and executors on loopback, asked by the same binary.

#![cfg(all(feature = "cluster", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use support::{Folder, Ran, analyzer, blocked, command, ran, reachable};

/// How long a process may take to say that it is ready: a debug build beside others.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process of a cluster; it does not outlive the test.
struct Process {
    child: Child,
    said: Receiver<String>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (queue, said) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| queue.send(line)));
        Self { child, said }
    }

    /// Waits for a line with these words.
    fn hear(&self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        loop {
            match self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => before.push(line),
                Err(end) => panic!("{end}: it never said {words:?}, but {before:?}"),
            }
        }
    }

    /// Asks it to end, and waits until it has.
    fn end(&mut self) -> Option<i32> {
        let asked = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(asked.unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A scheduler and two executors.
struct Cluster {
    address: String,
    scheduler: Process,
    executors: [Process; 2],
    work: [Folder; 2],
}

impl Cluster {
    fn start() -> Self {
        let scheduler = Process::start(&["cluster", "scheduler", "--port", "0"]);
        let line = scheduler.hear("listens at df://");
        let address = line[line.find("df://").unwrap()..].to_owned();
        let work = [Folder::new(), Folder::new()];
        let executors = [0, 1].map(|number| executor(&address, number, &work[usize::from(number)]));
        for executor in &executors {
            executor.hear("works for df://");
        }
        Self { address, scheduler, executors, work }
    }

    fn ask(&self, db: &[&str], sql: &str) -> Ran {
        analyzer(&query(db, sql, &["--cluster", &self.address]))
    }

    /// How many parts of queries' first stages, which are those that read files and judge, each executor finished since this
    /// was asked last: a part of a stage is a folder `JOB/STAGE/PART` of rows, which stays for minutes.
    fn at_work(&self) -> [usize; 2] {
        self.work.each_ref().map(|folder| {
            let jobs = below(Path::new(&folder.path(""))).iter().flat_map(|work| below(work)).collect::<Vec<_>>();
            let parts = jobs.iter().map(|job| below(&job.join("0")).len()).sum();
            for job in jobs {
                std::fs::remove_dir_all(job).unwrap();
            }
            parts
        })
    }
}

/// Addresses of its own on loopback (127/8 is all of it, RFC 1122 section 3.2.1.3), so that its ports are free.
fn executor(scheduler: &str, number: u8, work: &Folder) -> Process {
    let [.., high, low] = std::process::id().to_be_bytes();
    let bind = format!("127.{}.{high}.{low}", 100 + number);
    Process::start(&[
        "cluster",
        "executor",
        "--scheduler",
        scheduler,
        "--bind",
        &bind,
        "--cores",
        "2",
        "--work-dir",
        &work.path(""),
    ])
}

/// Folders in a folder, if there is one.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn query<'a>(db: &[&'a str], sql: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = more.to_vec();
    args.extend(["query", "--format", "jsonl", sql]);
    args.extend(db.iter().flat_map(|path| ["--db", path]));
    args
}

/// Questions, each with an order or of one row.
const QUESTIONS: [&str; 7] = [
    "SELECT country, asn, date_trunc('hour', started_at) AS hour, state, count(*) AS n, max(p_blocked) AS p FROM verdicts \
     GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    "SELECT m.network_kind, o.step, o.failure, count(*) AS n FROM observations o JOIN measurements m ON m.id = o.measurement \
     WHERE m.country = 'PK' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    "SELECT id, target, started_at, state, mechanisms, rules, summary FROM verdicts ORDER BY started_at DESC, id LIMIT 50",
    "SELECT * FROM measurements ORDER BY id",
    "SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(array_length(mechanisms)) AS mechanisms FROM verdicts",
    "SELECT v.state, count(*) AS n FROM verdicts v WHERE EXISTS (SELECT 1 FROM dns_answers a WHERE a.measurement = v.id) \
     GROUP BY 1 ORDER BY 1",
    "SELECT id, row_number() OVER (PARTITION BY asn ORDER BY started_at, id) AS place FROM measurements ORDER BY 1",
];

#[test]
fn a_cluster_gives_the_rows_that_one_process_gives_and_goes_on_without_an_executor() {
    let folder = Folder::new();
    let made = analyzer(&["generate", "--measurements", "1500", "--files", "6", "--output", &folder.path("made")]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    // What stands in two files is counted once, wherever they are read.
    std::fs::copy(folder.path("made/volunteer-0002.sqlite"), folder.path("again.sqlite")).unwrap();
    let (made, again) = (folder.path("made"), folder.path("again.sqlite"));
    let db = [made.as_str(), again.as_str()];
    let expected = QUESTIONS.map(|sql| {
        let here = analyzer(&query(&db, sql, &[]));
        assert!(here.code == 0 && !here.stdout.is_empty(), "{sql}: {}", here.stderr);
        (sql, here.stdout)
    });
    let mut cluster = Cluster::start();
    for (sql, rows) in &expected {
        let there = cluster.ask(&db, sql);
        assert_eq!((there.code, &there.stdout), (0, rows), "{sql}: {}", there.stderr);
        let work = cluster.at_work();
        assert!(work.iter().all(|&parts| parts > 0), "{sql}: the executors did {work:?} parts");
    }
    let parquet = folder.path("parquet");
    let export = ["--cluster", &cluster.address, "export", "--format", "parquet", "--output", &parquet, &made, &again];
    let exported = analyzer(&export);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    for (sql, rows) in &expected {
        let there = cluster.ask(&[&parquet], sql);
        assert_eq!((there.code, &there.stdout), (0, rows), "from Parquet: {sql}: {}", there.stderr);
    }
    cluster.at_work();
    assert_eq!(cluster.executors[0].end(), Some(130));
    for (sql, rows) in &expected {
        let there = cluster.ask(&db, sql);
        assert_eq!((there.code, &there.stdout), (0, rows), "with one executor: {sql}: {}", there.stderr);
    }
    let [ended, left] = cluster.at_work();
    assert!(ended == 0 && left > 0, "only one is left: {ended}, {left}");
    assert_eq!(cluster.executors[1].end(), Some(130));
    assert_eq!(cluster.scheduler.end(), Some(130));
}

#[test]
fn a_file_that_executors_do_not_see_is_named_and_nothing_is_left_out_in_silence() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[reachable(1, "wikipedia.org"), blocked(2, "x/web")]);
    let exported = analyzer(&["export", "--format", "parquet", "--output", &folder.path("tables"), &file]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let cluster = Cluster::start();
    // The asker's own folder: the same words mean another file to every process.
    for (db, named) in
        [("/proc/self/cwd/a.sqlite", "a.sqlite"), ("/proc/self/cwd/tables", "tables/verdicts/part-0000.parquet")]
    {
        let sql = "SELECT count(*) AS n FROM verdicts";
        let here = ran(&command(&query(&[db], sql, &[])).current_dir(folder.path("")).output().unwrap());
        assert_eq!((here.code, here.stdout.as_str()), (0, "{\"n\":2}\n"), "{}", here.stderr);
        let there = query(&[db], sql, &["--cluster", &cluster.address]);
        let there = ran(&command(&there).current_dir(folder.path("")).output().unwrap());
        assert_eq!((there.code, there.stdout.as_str()), (4, ""), "{}", there.stderr);
        assert!(there.stderr.contains(&format!("/proc/self/cwd/{named}")), "{}", there.stderr);
        assert_eq!(there.stderr.lines().count(), 1, "{}", there.stderr);
    }
}

#[test]
fn a_process_that_others_cannot_call_does_not_start_and_one_that_others_reach_says_what_nobody_protects() {
    for role in ["scheduler", "executor"] {
        let nobody = analyzer(&["cluster", role, "--bind", "0.0.0.0"]);
        assert_eq!(nobody.code, 2, "{}", nobody.stderr);
        assert!(nobody.stderr.contains("add --host NAME"), "{}", nobody.stderr);
    }
    // No address of this machine: it cannot listen there, whatever it says before.
    let open = analyzer(&["cluster", "scheduler", "--bind", "192.0.2.1", "--port", "0"]);
    assert_eq!(open.code, 1, "{}", open.stderr);
    assert!(open.stderr.contains("nothing here is authenticated or encrypted"), "{}", open.stderr);
    let lost = analyzer(&["cluster", "executor", "--scheduler", "df://127.0.0.1:1"]);
    assert_eq!(lost.code, 1, "{}", lost.stderr);
    assert!(lost.stderr.contains("df://127.0.0.1:1"), "{}", lost.stderr);
}

#[test]
fn where_no_scheduler_is_the_asker_says_so() {
    let folder = Folder::new();
    let file = folder.database("a.sqlite", &[reachable(1, "wikipedia.org")]);
    let none = analyzer(&query(&[&file], "SELECT count(*) FROM verdicts", &["--cluster", "df://127.0.0.1:1"]));
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    assert!(none.stderr.contains("df://127.0.0.1:1"), "{}", none.stderr);
}
