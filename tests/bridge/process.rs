//! A child that can be killed at any moment, and ends with the test however that ends.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// How a process is started, and the process while it runs.
pub struct Process {
    name: String,
    arguments: Vec<OsString>,
    log: PathBuf,
    /// Prints a line when it is ready.
    speaks: bool,
    child: Option<Child>,
}

impl Process {
    /// `mileverse` with these arguments; not started yet.
    pub fn new<A: Into<OsString>>(
        name: &str,
        directory: &Path,
        speaks: bool,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        // The pipe on its standard input makes sure that it ends with this test.
        let mut all = vec!["--exit-with-stdin".into()];
        all.extend(arguments.into_iter().map(Into::into));
        Self {
            name: name.to_owned(),
            arguments: all,
            log: directory.join(format!("{name}.log")),
            speaks,
            child: None,
        }
    }

    /// Starts it, and waits for its ready line if it has one; gives that line.
    pub fn start(&mut self) -> String {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = || {
            let options = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.log);
            options.unwrap()
        };
        let stdout = match self.speaks {
            true => Stdio::piped(),
            false => log().into(),
        };
        let mut child = mileverse()
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(log())
            .spawn()
            .unwrap();
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).unwrap();
            assert!(
                line.contains("ready"),
                "{}: {line:?}: {}",
                self.name,
                self.last(30)
            );
        }
        self.child = Some(child);
        line
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it runs; a process that ended by itself is a failure of the test.
    pub fn runs(&mut self) -> bool {
        let Some(child) = &mut self.child else {
            return false;
        };
        if let Some(status) = child.try_wait().unwrap() {
            panic!("{} ended by itself: {status}: {}", self.name, self.last(30));
        }
        true
    }

    /// The end of its log.
    fn last(&self, lines: usize) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<_> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.last(25));
        }
        if self.speaks {
            self.kill();
        } else if let Some(mut child) = self.child.take() {
            // Anvil's guard stops it when its standard input ends.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// The program.
pub fn mileverse() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mileverse"))
}

/// Runs a command that must succeed; what it printed.
pub fn told(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}
