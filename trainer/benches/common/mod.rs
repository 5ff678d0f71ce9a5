//! A Python script that answers line by line.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;

/// The interpreter that the scripts of this folder run in: `TOCCO_BENCH_PYTHON`, else `target/venv-bench`.
pub fn interpreter() -> PathBuf {
    std::env::var_os("TOCCO_BENCH_PYTHON")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv-bench/bin/python"), PathBuf::from)
}

/// A script under way. It ends when this is dropped.
pub struct Peer {
    process: Child,
    questions: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts a script of this folder.
    pub fn start(script: &str, environment: &[(&str, &str)]) -> Self {
        let python = interpreter();
        let mut process = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(script))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| {
                panic!(
                    "{}: {e}: make a virtual environment in target/venv-bench with trainer/benches/requirements.txt, \
                     or name the interpreter in TOCCO_BENCH_PYTHON",
                    python.display()
                )
            });
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, questions, answers }
    }

    /// Sends one request and waits for its answer.
    pub fn ask<Answer: DeserializeOwned>(&mut self, request: &serde_json::Value) -> Answer {
        writeln!(self.questions.as_mut().unwrap(), "{request}").unwrap();
        let line = self.answers.next().unwrap_or_else(|| panic!("the script ended: see what it wrote above")).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.questions.take());
        // It ends by itself when its input does.
        let _ = self.process.wait();
    }
}
