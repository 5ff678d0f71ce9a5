//! Where the workspace is, and how commands are run in it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace this program was started in.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo, and makes the root the current folder.
    ///
    /// # Errors
    /// Where there is no workspace, or cargo can't be called.
    pub fn find() -> Result<Self> {
        // Cargo sets it for `cargo run`: the command works from any folder inside the workspace.
        let start = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let output = Command::new(program())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(start)
            .stderr(Stdio::inherit())
            .output()
            .context("cargo could not be called")?;
        let metadata: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("cargo metadata did not answer with JSON")?;
        let path = |key: &str| {
            metadata[key].as_str().map(PathBuf::from).with_context(|| format!("cargo metadata has no {key}"))
        };
        let workspace = Self { root: path("workspace_root")?, target: path("target_directory")? };
        std::env::set_current_dir(&workspace.root)
            .with_context(|| format!("{} can't be entered", workspace.root.display()))?;
        Ok(workspace)
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The target folder, wherever the user's settings put it.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of one profile's results, e.g. `debug`.
    pub fn profile_folder(&self, profile: &str) -> PathBuf {
        self.target.join(profile)
    }

    /// A command that runs in the root of the workspace and knows where the bundles are.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("TOCCO_BUNDLED", self.target.join("bundled"));
        command
    }

    /// The cargo that runs this program.
    pub fn cargo(&self) -> Command {
        self.command(program())
    }
}

fn program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command to its end.
///
/// # Errors
/// Where it can't be started or does not end well.
pub fn checked(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} could not be started", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// The lines of a command's output that matter, and how it ended.
pub struct Echoed {
    /// The lines that started as asked for.
    pub lines: Vec<String>,
    /// Whether the command ended well.
    pub ended_well: bool,
}

impl Echoed {
    /// Puts another command's behind.
    pub fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.ended_well &= other.ended_well;
    }

    /// The sum of the numbers that stand before a word, over all lines.
    pub fn sum(&self, word: &str) -> usize {
        let numbers = self.lines.iter().flat_map(|line| {
            let words: Vec<&str> = line.split([' ', ';']).filter(|w| !w.is_empty()).collect();
            words
                .windows(2)
                .filter(|pair| pair[1] == word)
                .filter_map(|pair| pair[0].parse().ok())
                .collect::<Vec<usize>>()
        });
        numbers.sum()
    }
}

/// Runs a command, passes its output on and keeps the lines that start with `prefix`.
///
/// # Errors
/// Where it can't be started or its output can't be read.
pub fn echo_lines(command: &mut Command, prefix: &str) -> Result<Echoed> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("{} could not be started", shown(command)))?;
    let output = child.stdout.take().context("the output of the command is missing")?;
    let mut lines = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if line.starts_with(prefix) {
            lines.push(line);
        }
    }
    Ok(Echoed { lines, ended_well: child.wait()?.success() })
}

/// The command as a user would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
