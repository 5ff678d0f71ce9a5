//! What a fresh machine lacks: system packages, and a Python for the tests that need one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{Workspace, checked};

/// What the packages are wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To build and to run the plugin.
    Build,
    /// For the tests too.
    Everything,
    /// To make and measure the shipped models.
    Models,
}

/// Debian's names of what the build needs: ALSA, JACK, OpenGL and X11 headers.
const BUILD: [&str; 14] = [
    "build-essential",
    "libasound2-dev",
    "libgl1-mesa-dev",
    "libjack-jackd2-dev",
    "libx11-dev",
    "libx11-xcb-dev",
    "libxcb-dri2-0-dev",
    "libxcb-icccm4-dev",
    "libxcb1-dev",
    "libxcursor-dev",
    "libxkbcommon-dev",
    "libxkbcommon-x11-dev",
    "libxrandr-dev",
    "pkg-config",
];

/// What the tests need beyond: a display without a screen, a sound server without a sound card, a workstation, Pure
/// Data, SuperCollider's language, Python, encoders.
const TESTS: [&str; 11] = [
    "ardour",
    "ffmpeg",
    "imagemagick",
    "jackd2",
    "libgl1-mesa-dri",
    "liblo-tools",
    "puredata-core",
    "python3",
    "python3-venv",
    "supercollider-language",
    "xvfb",
];

/// What makes speech, noise and music that no model should take for its classes.
const MODELS: [&str; 5] = ["espeak-ng", "ffmpeg", "fluid-soundfont-gm", "fluidsynth", "timgm6mb-soundfont"];

/// The browsers that the tests of pages can use, by the names of their programs.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The same for other families of Linux, as a command to copy.
const OTHERS: [(&str, &str); 3] = [
    (
        "fedora",
        "sudo dnf install alsa-lib-devel ardour8 chromium ffmpeg-free gcc-c++ ImageMagick jack-audio-connection-kit \
         jack-audio-connection-kit-devel liblo libX11-devel libxcb-devel libXcursor-devel libxkbcommon-devel \
         libxkbcommon-x11-devel libXrandr-devel mesa-dri-drivers mesa-libGL-devel pkgconf-pkg-config puredata python3 \
         xcb-util-wm-devel xorg-x11-server-Xvfb",
    ),
    (
        "arch",
        "sudo pacman -S --needed alsa-lib ardour base-devel chromium ffmpeg imagemagick jack2 liblo libx11 libxcb libxcursor \
         libxkbcommon libxkbcommon-x11 libxrandr mesa pkgconf pd python supercollider xcb-util-wm xorg-server-xvfb",
    ),
    (
        "suse",
        "sudo zypper install alsa-devel ardour chromium ffmpeg gcc-c++ ImageMagick jack libjack-devel liblo-tools libX11-devel \
         libxcb-devel libXcursor-devel libxkbcommon-devel libxkbcommon-x11-devel libXrandr-devel Mesa-dri \
         Mesa-libGL-devel pkg-config pd python3 supercollider xcb-util-wm-devel xorg-x11-server-Xvfb",
    ),
];

/// Installs what is missing, through apt; elsewhere prints the command that does it.
///
/// # Errors
/// Where apt can't install a package.
pub fn system_packages(need: Need) -> Result<()> {
    if !cfg!(target_os = "linux") {
        if cfg!(target_os = "macos") {
            println!("macOS: the build needs Apple's compiler: xcode-select --install");
        }
        return Ok(());
    }
    let more = match need {
        Need::Build => &[][..],
        Need::Everything => &TESTS,
        Need::Models => &MODELS,
    };
    let mut wanted: Vec<&str> = BUILD.iter().chain(more).copied().collect();
    if need == Need::Everything && !has_browser() {
        wanted.push("chromium");
    }
    if !(on_path("apt-get") && on_path("dpkg-query")) {
        print_other_command();
        return Ok(());
    }
    let missing = missing_packages(&wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    println!("Installing with apt: {}", missing.join(" "));
    checked(as_root(&["apt-get", "update", "--quiet"])?.stdout(Stdio::null()))?;
    let mut install = vec!["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"];
    install.extend(missing);
    checked(&mut as_root(&install)?)
}

/// Makes the tests' Python environment under the target folder, unless it stands; gives the path of its interpreter.
///
/// # Errors
/// Where Python or a package is missing.
pub fn python(workspace: &Workspace) -> Result<PathBuf> {
    virtual_environment(&environment(workspace), &workspace.root().join("tests/python/requirements.txt"))
}

/// The Python with PyTorch: the one that `TOCCO_PYTORCH` names, or an environment of its own under the target folder.
///
/// # Errors
/// Where Python or a package is missing.
pub fn pytorch(workspace: &Workspace) -> Result<PathBuf> {
    // On Linux the wheel on PyPI brings CUDA with it: 3 GB to load, 5 GB on the disk, a minute or two. Whoever has a
    // PyTorch for the processor alone can spare that.
    if let Some(interpreter) = std::env::var_os("TOCCO_PYTORCH") {
        return Ok(interpreter.into());
    }
    let list = workspace.root().join("examples/pytorch/requirements.txt");
    virtual_environment(&workspace.target().join("venv-pytorch"), &list)
}

/// Makes a virtual environment with the packages of `list`, unless it stands; gives the path of its interpreter.
fn virtual_environment(folder: &Path, list: &Path) -> Result<PathBuf> {
    let wanted = std::fs::read_to_string(list).with_context(|| format!("{} can't be read", list.display()))?;
    let interpreter = if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") };
    // Written last, so that a broken installation is not taken for a whole one.
    let done = folder.join("installed.txt");
    if interpreter.exists() && std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    println!("Installing Python packages into {}", folder.display());
    let system = if cfg!(windows) { "python" } else { "python3" };
    checked(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder))?;
    // Nothing is kept for a second installation, and nothing compiled that may never be imported: with PyTorch
    // both are gigabytes and minutes.
    checked(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-compile"])
            .arg("-r")
            .arg(list),
    )
    .context("the Python packages can't be installed: they need Python 3.11 or newer and the network")?;
    std::fs::write(&done, wanted).with_context(|| format!("{} can't be written", done.display()))?;
    Ok(interpreter)
}

/// The realtime sanitizer's library, which the Rust toolchain may bring for this machine.
///
/// # Errors
/// Where rustc can't be asked.
pub fn realtime_sanitizer() -> Result<Option<PathBuf>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir"]).output().context("rustc could not be asked")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let Ok(files) = std::fs::read_dir(&folder) else { return Ok(None) };
    let mut libraries = files.filter_map(|file| file.ok().map(|file| file.path()));
    Ok(libraries.find(|path| path.to_string_lossy().ends_with("_rt.rtsan.a")))
}

/// The ONNX Runtime library inside the Python environment, where it is installed.
pub fn onnx_runtime(workspace: &Workspace) -> Option<PathBuf> {
    let is_library = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !name.contains("providers") && (name.starts_with("libonnxruntime.") || name == "onnxruntime.dll")
    };
    let packages = if cfg!(windows) {
        vec![environment(workspace).join("Lib")]
    } else {
        let versions = std::fs::read_dir(environment(workspace).join("lib")).ok()?;
        versions.filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    packages
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder.join("site-packages/onnxruntime/capi")).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| is_library(path))
}

fn environment(workspace: &Workspace) -> PathBuf {
    workspace.target().join("venv")
}

/// Whether there is a browser, or none can be had from apt: Ubuntu has Chromium as a snap only.
fn has_browser() -> bool {
    if std::env::var_os("TOCCO_CHROMIUM").is_some() || BROWSERS.iter().any(|name| on_path(name)) {
        return true;
    }
    let ubuntu = std::fs::read_to_string("/etc/os-release").is_ok_and(|system| system.contains("ID=ubuntu"));
    if ubuntu {
        println!("Ubuntu's apt has no browser: the tests of pages need Google Chrome, or another in TOCCO_CHROMIUM");
    }
    ubuntu
}

/// Those of `wanted` that dpkg does not call installed.
fn missing_packages<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    // It ends with an error where it does not know a name: what it prints is what counts.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"])
        .args(wanted)
        .stderr(Stdio::null())
        .output()
        .context("dpkg-query could not be called")?;
    let known = String::from_utf8_lossy(&output.stdout);
    let installed = |name: &str| known.lines().any(|line| line == format!("{name} installed"));
    Ok(wanted.iter().copied().filter(|name| !installed(name)).collect())
}

/// A command that runs as root, through sudo where this user is not root.
fn as_root(words: &[&str]) -> Result<Command> {
    let id = Command::new("id").arg("-u").output().context("id could not be called")?;
    let is_root = String::from_utf8_lossy(&id.stdout).trim() == "0";
    ensure!(
        is_root || on_path("sudo"),
        "packages can only be installed by root, and sudo is missing. Run as root: {}",
        words.join(" ")
    );
    let Some((program, arguments)) = words.split_first() else { bail!("an empty command") };
    // apt asks nothing; `env` because sudo drops the variables of its caller.
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    if !is_root {
        command.arg("env");
    }
    command.arg("DEBIAN_FRONTEND=noninteractive").arg(program).args(arguments);
    Ok(command)
}

/// Tells a user of another Linux what to type; the build says itself what is missing.
fn print_other_command() {
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let family = system.lines().filter(|l| l.starts_with("ID=") || l.starts_with("ID_LIKE=")).collect::<String>();
    println!("This system has no apt. What Tocco's build and tests need is installed by:");
    match OTHERS.iter().find(|(name, _)| family.contains(name)) {
        Some((_, command)) => println!("  {command}"),
        None => println!("  (as Debian names it) apt-get install {} {}", BUILD.join(" "), TESTS.join(" ")),
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
