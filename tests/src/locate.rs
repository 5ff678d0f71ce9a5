//! Where the built plugin and the tools of the tests are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The folder with the results of this build, e.g. `target/debug`.
///
/// # Errors
/// Where the system does not tell this program's own path.
pub fn profile_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program does not know its own path")?;
    // Tests lie in target/debug/deps, programs in target/debug.
    let folder = program.parent().context("a program without a folder")?;
    Ok(if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_path_buf())
}

/// The folder of the bundles.
///
/// # Errors
/// See [`profile_folder`].
pub fn bundles() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TOCCO_BUNDLED") {
        return Ok(folder.into());
    }
    let profile = profile_folder()?;
    Ok(profile.parent().unwrap_or(&profile).join("bundled"))
}

/// The plugin as a CLAP file: the bundle, or where it is newer, the bare library, which is the same file.
///
/// # Errors
/// Where neither was built; says what to do.
pub fn clap() -> Result<PathBuf> {
    let bundle = bundles()?.join("Tocco.clap");
    let name = format!("{}tocco_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let profile = profile_folder()?;
    // `cargo test` leaves it among the dependencies, `cargo build` beside them.
    let candidates = [bundle, profile.join(&name), profile.join("deps").join(&name)];
    let built = |path: &PathBuf| path.metadata().and_then(|about| about.modified()).ok();
    candidates
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(built)
        .context("the plugin is not built: run `cargo xtask bundle` first")
}

/// The bundled VST3.
///
/// # Errors
/// Where it was not made; says what to do.
pub fn vst3() -> Result<PathBuf> {
    existing(bundles()?.join("Tocco.vst3"))
}

/// The standalone program.
///
/// # Errors
/// Where it was not built; says what to do.
pub fn standalone() -> Result<PathBuf> {
    existing(bundles()?.join(format!("tocco_standalone{}", std::env::consts::EXE_SUFFIX)))
}

/// The command `tocco`.
///
/// # Errors
/// Where it was not built; says what to do.
pub fn tocco() -> Result<PathBuf> {
    let path = profile_folder()?.join(format!("tocco{}", std::env::consts::EXE_SUFFIX));
    path.exists().then_some(path).context("the command is not built: run `cargo build --workspace --bins` first")
}

/// The Python of `cargo xtask setup`.
///
/// # Errors
/// Where it is missing; says what to do.
pub fn python() -> Result<PathBuf> {
    interpreter("TOCCO_PYTHON", "venv")
}

/// The Python with PyTorch of `cargo xtask setup`.
///
/// # Errors
/// Where it is missing; says what to do.
pub fn pytorch() -> Result<PathBuf> {
    interpreter("TOCCO_PYTORCH", "venv-pytorch")
}

/// What the variable says, else the interpreter of a virtual environment in the target folder.
fn interpreter(variable: &str, environment: &str) -> Result<PathBuf> {
    if let Some(interpreter) = std::env::var_os(variable) {
        return Ok(interpreter.into());
    }
    let profile = profile_folder()?;
    let folder = profile.parent().unwrap_or(&profile).join(environment);
    let interpreter = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let missing = || format!("the Python in {} is missing: run `cargo xtask setup` first", folder.display());
    interpreter.exists().then_some(&interpreter).with_context(missing).cloned()
}

/// A program on the search path.
///
/// # Errors
/// Where it is missing; says what to do.
pub fn tool(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("{name} is missing: run `cargo xtask setup` first"))
}

/// What a test needs and can't bring itself. Where it is missing, says so and gives nothing; under
/// `cargo xtask test`, which installs everything, it is a failure instead.
///
/// # Panics
/// With the reason, where the environment variable `TOCCO_STRICT` is set and something is missing.
pub fn needed<T>(what: Result<T>) -> Option<T> {
    match what {
        Ok(thing) => Some(thing),
        Err(reason) => {
            assert!(std::env::var_os("TOCCO_STRICT").is_none(), "nothing may be missing here: {reason:#}");
            eprintln!("SKIPPED: {reason:#}");
            None
        }
    }
}

/// A child process that ends with its owner.
pub struct Child(pub std::process::Child);

impl Child {
    /// Starts a command with nothing on its standard input.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).spawn().map(Self).with_context(|| format!("{command:?} could not be started"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    if path.exists() {
        return Ok(path);
    }
    anyhow::bail!("{} is missing: run `cargo xtask bundle` first", path.display())
}
